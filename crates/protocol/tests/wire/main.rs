//! The wire against its outside witnesses: golden frames, other encoders, a second decoder, the RFC's own examples,
//! the public specification and the fuzz corpora.

mod columns;
mod control;
mod corpus;
mod document;
mod frames;
mod golden;
mod oracle;
mod rfc8949;
mod tree;
