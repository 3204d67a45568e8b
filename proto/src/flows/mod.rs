//! Flows as JSON over HTTP, for people and programs that speak no gRPC. The projection answers it to the domain's roles, the
//! gateway to everybody:
//!
//! * `GET /flows?status=&behaviour=&activity=&object=&limit=&page=`: a page of flows, `{"flows", "next"}`; `next` is the next
//!   page's `page`, and missing on the last. `status` may be several, `waiting,failed`;
//! * `GET /flows/{id}`: one with its transitions and the values of its steps;
//! * `GET /behaviours`: those in effect, and the runners;
//!
//! A parameter that is not known is refused.
//!
//! * `POST /flows` `{"behaviour", "activity"}`: starts one, 201; 200 where it is there already;
//! * `POST /flows/{id}/resume` `{"step", "value"}`, `/retry` `{"step"}`, `/cancel` `{"reason"}`: moves one. Each of these members, and
//!   the body, may be left out.

mod asked;
mod told;

pub use asked::{Cancel, NothingAsked, PageAsked, Resume, Retry, Start, read};
pub use told::{behaviours, flow, moment, moved, outline, page, whole};

/// Most bytes of a body: a value of 16 KiB, however it is written.
pub const MAX_BODY: usize = 128 << 10;
