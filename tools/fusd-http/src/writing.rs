//! What is sent, and what is heard for as long as it lasts: the options of streams.

use std::time::Duration;

use clap::Args;
use fusd_tool::ToolError;
use reqwest::Method;
use reqwest::header::HeaderValue;

use crate::talk::{Live, Send, Sse, Writing};

const WRITING: &str = "Writing";
const STREAMS: &str = "Live streams";

/// What makes the node a stream.
#[derive(Args, Clone, Debug, Default)]
pub struct StreamArgs {
    /// Let clients write: each write, line or file makes a request of this method
    ///
    /// What they read then, on the same open file, is the answer.
    #[arg(short = 'X', long, value_name = "METHOD", value_parser = method, help_heading = WRITING)]
    pub method: Option<Method>,

    /// What is one request
    #[arg(long, value_name = "WHAT", value_enum, requires = "method", help_heading = WRITING)]
    pub send: Option<Send>,

    /// Content-Type of what is written [default: application/octet-stream, with --body application/json]
    #[arg(long, value_name = "TYPE", value_parser = content_type, requires = "method", help_heading = WRITING)]
    pub content_type: Option<HeaderValue>,

    /// Send this text instead, with what is written in the place of {data}
    ///
    /// {uid}, {pid} and {program} are those of whoever opened the node. What is put in is escaped as JSON,
    /// or, where --content-type says application/x-www-form-urlencoded, by percent signs.
    #[arg(long, value_name = "TEXT", requires = "method", help_heading = WRITING)]
    pub body: Option<String>,

    /// The server does not mind if it gets a request twice: it may be sent again after a failure
    #[arg(long, requires = "method", help_heading = WRITING)]
    pub idempotent: bool,

    /// Give readers what comes when it comes, for as long as the connection lasts
    ///
    /// Each open has a connection of its own. The node is a stream: nobody can seek in it, and poll(2)
    /// tells when there is something to read.
    #[arg(long, help_heading = STREAMS)]
    pub live: bool,

    /// The stream has server-sent events; give readers this of them
    #[arg(long, value_name = "FORM", value_enum, help_heading = STREAMS)]
    pub sse: Option<Sse>,

    /// When the stream ends or breaks, connect again, from the last event on
    #[arg(long, help_heading = STREAMS)]
    pub follow: bool,
}

fn method(text: &str) -> Result<Method, String> {
    match text {
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        _ => Err("give POST, PUT or PATCH".to_owned()),
    }
}

fn content_type(text: &str) -> Result<HeaderValue, String> {
    let value = text.parse().ok().filter(|_| text.contains('/'));
    value.ok_or_else(|| "give a media type, such as application/json".to_owned())
}

impl StreamArgs {
    /// Whether the node is a stream.
    pub(crate) fn is_stream(&self) -> bool {
        self.method.is_some() || self.is_live()
    }

    /// Whether it is read for as long as there is something to come.
    pub(crate) fn is_live(&self) -> bool {
        self.live || self.sse.is_some() || self.follow
    }

    /// How what is written is sent.
    pub(crate) fn writing(&self) -> Result<Option<Writing>, ToolError> {
        let Some(method) = &self.method else {
            return Ok(None);
        };
        let send = self.send.unwrap_or_default();
        if self.idempotent && send == Send::Close {
            return Err(ToolError::usage(
                "what is sent while it is written cannot be sent again; give --idempotent with \
                 --send write or line",
            ));
        }
        if self.body.is_some() && send == Send::Close {
            return Err(ToolError::usage(
                "what is sent while it is written cannot be put into a text; give --body with \
                 --send write or line",
            ));
        }
        let kind = HeaderValue::from_static(match self.body {
            Some(_) => "application/json",
            None => "application/octet-stream",
        });
        Ok(Some(Writing {
            body: self.body.clone(),
            method: method.clone(),
            send,
            idempotent: self.idempotent,
            is_live: self.is_live(),
            content_type: self.content_type.clone().unwrap_or(kind),
        }))
    }

    /// How answers are heard, with pauses of at most `longest`.
    pub(crate) fn live(&self, longest: Duration) -> Live {
        Live {
            is_live: self.is_live(),
            sse: self.sse,
            follow: self.follow,
            longest,
        }
    }
}
