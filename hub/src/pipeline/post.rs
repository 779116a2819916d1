//! Readings by HTTP: the same journal, the same marks, without a connection.

use protocol::{
    device::{ChannelDecl, data, encode::FrameWriter},
    flags,
    ids::Id,
    limits::CHANNELS_PER_DEVICE_MAX,
};
use tokio::sync::oneshot;

use super::{Pipeline, acks::WaitingPost};
use crate::ingest::{
    admission::SessionClock,
    http::{Post, PostError, Posted},
};

/// Connection number that no connection has: nobody is waiting at a socket for this acknowledgement.
const NO_CONNECTION: u64 = 0;

impl Pipeline {
    pub(super) fn on_post(&mut self, post: &Post, reply: oneshot::Sender<Result<Posted, PostError>>) {
        match self.take_post(post) {
            Ok(posted) => {
                // Behind everything appended so far, so a duplicate too is answered when its first copy is durable.
                let record = self.appender.next_seq() - 1;
                if record <= self.durable_seq {
                    drop(reply.send(Ok(posted)));
                } else {
                    self.acks.posts.push_back((record, WaitingPost { posted, reply }));
                }
            }
            // Whoever posted may have hung up.
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn take_post(&mut self, post: &Post) -> Result<Posted, PostError> {
        if self.disk_full {
            return Err(PostError::DiskFull);
        }
        if self.state.device_number(post.device.as_str()).is_none()
            && self.state.devices.len() >= self.config.devices_max as usize
        {
            self.metrics.devices_refused.inc();
            return Err(PostError::TooManyDevices(self.config.devices_max));
        }
        let (spool, given_seq) = post.place.map_or((0, None), |(spool, seq)| (spool, Some(seq)));
        let channels = self.channels_with(&post.device, spool, &post.channels)?;
        let catalogue = self.catalogue_record(&post.device, spool, &channels, None);
        let stream = catalogue.stream;
        self.put_catalogue(&catalogue);
        let mark = self.state.streams[&stream].mark;
        let seq = given_seq.unwrap_or(mark + 1);
        let frame = self.frame_of(post, stream, seq);
        let decoding = &self.state.streams[&stream].channels;
        data::decode(&frame, decoding, &mut self.messages.batch)
            .map_err(|error| PostError::Refused(error.to_string()))?;
        let admitted = SessionClock::Unix.admit(&self.messages.batch, self.arrival_us, self.is_clock_trusted());
        let count = post.points.len() as u64;
        let (stored, dropped, duplicate) = match self.store(NO_CONNECTION, stream, &frame, admitted) {
            Some((stored, dropped)) => (stored, dropped, 0),
            None => (0, 0, count),
        };
        let skewed = admitted.flags & flags::SKEWED != 0;
        Ok(Posted { acked: seq.max(mark), stored, duplicate, dropped, skewed })
    }

    /// The spool's channel list with the posted names behind it where they are new.
    fn channels_with(&self, device: &Id, spool: u64, names: &[Id]) -> Result<Vec<ChannelDecl>, PostError> {
        let stream = self
            .state
            .device_number(device.as_str())
            .and_then(|device| self.state.stream_of(device, spool))
            .map(|stream| &self.state.streams[&stream]);
        let mut channels = stream.map(|stream| stream.decls.clone()).unwrap_or_default();
        for name in names {
            if !channels.iter().any(|channel| channel.name == *name) {
                // What another door has said about the channel holds here too, but values come unscaled.
                let known =
                    self.state.device_number(device.as_str()).and_then(|d| self.state.series_of(d, name.as_str()));
                let decl = known.map_or_else(
                    || ChannelDecl::gauge(name.clone()),
                    |series| {
                        let decl = self.state.series[series as usize].decl.clone();
                        ChannelDecl { scale: None, offset: None, ..decl }
                    },
                );
                if channels.len() == CHANNELS_PER_DEVICE_MAX {
                    return Err(PostError::TooManyChannels);
                }
                channels.push(decl);
            }
        }
        Ok(channels)
    }

    /// The readings as the data frame that a device would have sent.
    fn frame_of(&self, post: &Post, stream: u32, seq: u64) -> Vec<u8> {
        let decls = &self.state.streams[&stream].decls;
        let place_of = |name: &Id| decls.iter().position(|decl| decl.name == *name).unwrap_or_default() as u16;
        let places: Vec<u16> = post.channels.iter().map(place_of).collect();
        let t0_us = post.points.iter().find_map(|point| point.time_us).unwrap_or(self.arrival_us);
        let mut writer = FrameWriter::default();
        for point in &post.points {
            let dt_us = point.time_us.unwrap_or(self.arrival_us) - t0_us;
            writer.scalar(places[point.channel], dt_us as f64 / 1000.0, point.value);
        }
        writer.finish(seq, t0_us as f64 / 1000.0)
    }
}
