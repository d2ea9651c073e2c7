//! One request and its answer, with all that may come between: redirects, time-outs, other tries.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fusd::Errno;
use http::Response;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_NONE_MATCH};
use reqwest::{Client, Method, StatusCode, Url};
use tokio::time::{Instant, sleep};

use crate::access::{Access, Proof};
use crate::ask::{Ask, Payload};
use crate::body::{Body, Raw};
use crate::direct::Direct;
use crate::failure::Failure;
use crate::network::NetworkArgs;
use crate::redirect::{same_origin, step};
use crate::retry::{self, Retry};
use crate::status::StatusFile;
use crate::target::{Header, Shown};
use crate::template::Target;
use crate::traffic::Traffic;
use crate::who::Who;

/// Who asks for what, how patiently. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Exchange(Arc<Setup>);

/// What holds for all requests.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) client: Client,
    /// The short way to the server of the URL, if there is one.
    pub(crate) direct: Option<Direct>,
    pub(crate) target: Target,
    pub(crate) access: Access,
    pub(crate) headers: Vec<Header>,
    /// Answers may be compressed.
    pub(crate) compressed: bool,
    pub(crate) network: NetworkArgs,
    /// Where to put the heads of answers.
    pub(crate) status: Option<StatusFile>,
    pub(crate) traffic: Arc<Traffic>,
}

/// How many headers most requests have, at most.
const HEADERS: usize = 12;

/// How long an upload may make no progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Before the first byte of it.
    pub(crate) before_first: Duration,
    /// Later.
    pub(crate) stall: Duration,
}

/// An answer, of which the head is there.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Exchange {
    pub(crate) fn new(setup: Setup) -> Self {
        Self(Arc::new(setup))
    }

    /// What is asked for, without what may be secret.
    pub(crate) fn shown(&self) -> String {
        Shown(self.0.target.url()).to_string()
    }

    /// Whose page it is: that of `who` alone, or everybody's.
    pub(crate) fn place(&self, who: &Who) -> String {
        let url = self.0.target.of(who).ok().map(String::from);
        let uid = self.0.access.depends_on_caller().then_some(who.uid);
        format!("{uid:?} {}", url.unwrap_or_default())
    }

    pub(crate) fn limits(&self) -> Limits {
        let network = &self.0.network;
        // A secret may have to be asked for first.
        Limits {
            before_first: network.connect_timeout + network.first_byte_timeout,
            stall: network.stall_timeout,
        }
    }

    /// Whether answers may be compressed.
    pub(crate) fn compressed(&self) -> bool {
        self.0.compressed
    }

    /// Sends the request, again if need be, and gives the first answer of success; of a request for a
    /// range, also that there is no such range.
    ///
    /// # Errors
    /// There is none, in time; the last reason.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Answer, Failure> {
        let limit = self.0.network.max_time;
        let end = limit.map(|limit| Instant::now() + limit);
        let mut tries = 0;
        loop {
            let failure = match self.attempt(ask, end).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let pause = match ask.repeatable {
                true => self.pause(&failure, tries),
                false => None,
            };
            let pause = pause.filter(|pause| end.is_none_or(|end| Instant::now() + *pause < end));
            let url = self.shown();
            let errno = failure.errno;
            let Some(pause) = pause else {
                tracing::warn!(method = %ask.method, url, %errno, "{failure}");
                return Err(failure);
            };
            tracing::info!(method = %ask.method, url, ?pause, "{failure}; asking again");
            sleep(pause).await;
            tries += 1;
        }
    }

    /// When a request that has failed in the middle of its answer is to be sent for the rest.
    pub(crate) fn pause(&self, failure: &Failure, tries: u32) -> Option<Duration> {
        self.retry().pause(failure, tries, fastrand::f64())
    }

    fn retry(&self) -> Retry {
        Retry {
            times: self.0.network.retries,
            longest: self.0.network.retry_max_wait,
        }
    }

    async fn attempt(&self, ask: &Ask, end: Option<Instant>) -> Result<Answer, Failure> {
        match end {
            None => self.follow(ask, end).await,
            Some(end) => match tokio::time::timeout_at(end, self.follow(ask, Some(end))).await {
                Ok(result) => result,
                Err(_) => Err(self.out_of_time()),
            },
        }
    }

    fn out_of_time(&self) -> Failure {
        let limit = self.0.network.max_time.unwrap_or_default();
        Failure::late("the request has not ended", limit)
    }

    /// The answer that redirects lead to, by whoever the server takes.
    async fn follow(&self, ask: &Ask, end: Option<Instant>) -> Result<Answer, Failure> {
        let home = self.0.target.of(&ask.who)?;
        let mut proof = self.0.access.proof(&home, &ask.who, None).await?;
        let (mut url, mut method, mut body) = (home.clone(), ask.method.clone(), true);
        let (mut steps, mut renewed) = (0, false);
        loop {
            // A header may be somebody's secret, whatever it is called.
            let known = same_origin(&url, &home).then_some(&*proof);
            let response = self.once(ask, &url, &method, body, known).await?;
            if let Some(next) = step(&response, &url, &method)? {
                tracing::debug!(from = %Shown(&url), to = %Shown(&next.url), "redirected");
                (url, method) = (next.url, next.method);
                body &= next.body;
                steps += 1;
                if steps > self.0.network.max_redirects {
                    break;
                }
                continue;
            }
            // What has been written while it was sent is gone.
            let again = !renewed && !matches!(ask.payload, Payload::Stream(_));
            if response.status() == StatusCode::UNAUTHORIZED && known.is_some() && again {
                renewed = true;
                let new = self.0.access.proof(&home, &ask.who, Some(&proof)).await?;
                if new.headers != proof.headers {
                    tracing::info!(
                        "the server does not take the secret any more: sending a new one"
                    );
                    proof = new;
                    continue;
                }
            }
            return self.judge(ask, response, end);
        }
        let limit = self.0.network.max_redirects;
        let text = format!("the server redirects more than {limit} times");
        Err(Failure::new(Errno::EIO, text))
    }

    async fn once(
        &self,
        ask: &Ask,
        url: &Url,
        method: &Method,
        body: bool,
        known: Option<&Proof>,
    ) -> Result<Response<Raw>, Failure> {
        let (method, headers) = (method.clone(), self.headers(ask, known));
        let (mut payload, mut written) = (None, None);
        match &ask.payload {
            Payload::Bytes(bytes) if body => payload = Some(bytes.clone().into()),
            Payload::Stream(upload) if body => {
                payload = Some(upload.take()?);
                written = Some(upload);
            }
            _ => {}
        }
        let direct = self.0.direct.as_ref();
        let answer = async {
            match direct.filter(|_| known.is_some() && payload.is_none()) {
                Some(direct) => {
                    let response = direct.send(method, url, headers).await?;
                    Ok(response.map(Raw::Direct))
                }
                None => {
                    let request = self.0.client.request(method, url.clone());
                    let request = request.headers(headers).body(payload.unwrap_or_default());
                    let response = request.send().await.map_err(Failure::network)?;
                    Ok(Response::from(response).map(Raw::Other))
                }
            }
        };
        self.0.traffic.ask();
        let limit = self.0.network.first_byte_timeout;
        let late = async {
            // Whoever writes may take any time for it, and so may a slow network.
            if let Some(written) = written {
                written.taken().await;
            }
            sleep(limit).await;
        };
        let response = tokio::select! {
            biased;
            response = answer => response?,
            () = late => return Err(Failure::late("the server has not begun to answer", limit)),
        };
        if let Some(status) = &self.0.status {
            status.tell(&response).await;
        }
        Ok(response)
    }

    /// The headers of a request to somebody who is `known`, or not.
    fn headers(&self, ask: &Ask, known: Option<&Proof>) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        if let Some(proof) = known {
            for (name, value) in &self.0.headers {
                headers.append(name, value.clone());
            }
            replace(&mut headers, &proof.headers);
        }
        let encodings = match self.0.compressed && !ask.has_range() {
            true => "gzip, br, zstd",
            // A part of something compressed cannot be read.
            false => "identity",
        };
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encodings));
        replace(&mut headers, &ask.headers);
        headers
    }

    fn judge(
        &self,
        ask: &Ask,
        response: Response<Raw>,
        end: Option<Instant>,
    ) -> Result<Answer, Failure> {
        let (head, body) = response.into_parts();
        let (status, headers) = (head.status, head.headers);
        let no_range = ask.has_range() && status == StatusCode::RANGE_NOT_SATISFIABLE;
        let as_known =
            ask.headers.contains_key(IF_NONE_MATCH) && status == StatusCode::NOT_MODIFIED;
        if !status.is_success() && !no_range && !as_known {
            let pause = retry::after(&headers, SystemTime::now());
            return Err(Failure::status(status, pause));
        }
        let stall = (!ask.live).then_some(self.0.network.stall_timeout);
        let limit = self.0.network.max_time.unwrap_or_default();
        let body = Body::new(
            &headers,
            body,
            stall,
            end.map(|end| (end, limit)),
            Arc::clone(&self.0.traffic),
        )?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}

/// Puts headers in the place of others of the same name.
fn replace(headers: &mut HeaderMap, new: &HeaderMap) {
    for (name, value) in new {
        headers.insert(name, value.clone());
    }
}
