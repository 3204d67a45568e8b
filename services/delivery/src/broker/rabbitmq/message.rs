//! A lane as a message: `42 https://peer.example`, readable in RabbitMQ's own tools.

use fedsx_runtime::telemetry;
use lapin::{
    BasicProperties,
    types::{FieldTable, LongString},
};

use crate::{broker::Due, lane::LaneId};

/// Written to disk before it is confirmed.
const PERSISTENT: u8 = 2;

/// A message's body.
pub(super) fn body(due: &Due) -> Vec<u8> {
    format!("{} {}", due.lane, due.origin).into_bytes()
}

/// Reads a body; none where it is no lane's.
pub(super) fn due(body: &[u8]) -> Option<Due> {
    let (lane, origin) = std::str::from_utf8(body).ok()?.split_once(' ')?;
    Some(Due {
        lane: LaneId(lane.parse().ok()?),
        origin: origin.parse().ok()?,
    })
}

/// The properties of what is published now, with the publisher's place in its trace where it has one.
pub(super) fn properties() -> BasicProperties {
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("text/plain".into());
    let Some(traceparent) = telemetry::current_traceparent() else {
        return properties;
    };
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), LongString::from(traceparent).into());
    properties.with_headers(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_read_as_it_was_written() {
        let lane = crate::broker::conformance::due(42);
        assert_eq!(body(&lane), b"42 https://peer.example");
        assert_eq!(due(&body(&lane)), Some(lane));
    }

    #[test]
    fn what_is_no_lane_is_none() {
        for body in [
            &b""[..],
            b"42",
            b"lane https://peer.example",
            b"42 peer",
            b"42 \xff",
        ] {
            assert_eq!(due(body), None, "{body:?}");
        }
    }
}
