//! What a key can do.

/// One thing that the user can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leave.
    Quit,
    /// Open or close the key overlay.
    Help,
    /// Close what lies on top: overlay, filter, expanded view.
    Close,
    /// Go to the other pane.
    NextPane,
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// The channel before.
    PreviousChannel,
    /// The next channel.
    NextChannel,
    /// The first row.
    First,
    /// The last row.
    Last,
    /// A screen of rows up.
    PageUp,
    /// A screen of rows down.
    PageDown,
    /// Type a filter.
    Filter,
    /// Sort by the next column.
    Sort,
    /// Turn the order round.
    Invert,
    /// Fill the screen with the focused pane, or return.
    Expand,
    /// Let the view stand still, or return to live.
    Freeze,
    /// A shorter time range.
    ZoomIn,
    /// A longer time range.
    ZoomOut,
    /// The next theme.
    Theme,
    /// Connect at once.
    Reconnect,
}
