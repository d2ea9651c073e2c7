//! What tells the server who asks. Secrets come from files, variables or commands, are asked for again
//! where the server does not take them, and are seen neither in the log nor in /proc.

mod netrc;
mod secret;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use clap::Args;
use fusd_tool::ToolError;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

pub use self::secret::Secret;
use crate::failure::Failure;
use crate::target::is_own;
use crate::who::Who;

const WHO: &str = "Who asks";

/// Who asks. SOURCE is file:PATH, env:VARIABLE or cmd:COMMAND.
#[derive(Args, Clone, Debug, Default)]
pub struct AccessArgs {
    /// Send the token in SOURCE (Authorization: Bearer); SOURCE is file:PATH, env:NAME or cmd:COMMAND
    #[arg(long, value_name = "SOURCE", value_parser = Secret::parse, conflicts_with_all = ["basic", "netrc"], help_heading = WHO)]
    pub bearer: Option<Secret>,

    /// Send the user and password in SOURCE, which has them as USER:PASSWORD
    #[arg(long, value_name = "SOURCE", value_parser = Secret::parse, conflicts_with = "netrc", help_heading = WHO)]
    pub basic: Option<Secret>,

    /// Send the user and password that this file has for the host, as curl does [default: ~/.netrc]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "", help_heading = WHO)]
    pub netrc: Option<PathBuf>,

    /// Send the cookies in SOURCE, which has them as NAME=VALUE; NAME=VALUE
    #[arg(long, value_name = "SOURCE", value_parser = Secret::parse, help_heading = WHO)]
    pub cookie: Option<Secret>,

    /// Send the header of this name with the value in SOURCE; repeatable
    #[arg(long, value_name = "NAME=SOURCE", value_parser = header, help_heading = WHO)]
    pub secret_header: Vec<(HeaderName, Secret)>,

    /// Ask in the name of whoever opens the node: {uid} in a SOURCE is the caller's, FUSD_UID tells a
    /// command, and --netrc is in the caller's home
    #[arg(long, help_heading = WHO)]
    pub as_caller: bool,
}

fn header(text: &str) -> Result<(HeaderName, Secret), String> {
    let help = "give NAME=SOURCE, such as X-Key=file:/etc/key";
    let (name, source) = text.split_once('=').ok_or_else(|| help.to_owned())?;
    let name: HeaderName = name.parse().map_err(|_| help.to_owned())?;
    if let Some(hint) = is_own(&name) {
        return Err(format!("{name} is no secret; {hint}"));
    }
    Ok((name, Secret::parse(source)?))
}

/// What is sent for whom.
#[derive(Debug)]
pub(crate) struct Access {
    args: AccessArgs,
    /// How long a command may take.
    patience: Duration,
    /// By the caller's uid, or 0.
    known: std::sync::Mutex<HashMap<u32, Place>>,
}

/// What is known of one caller; locked while it is asked for.
type Place = Arc<Mutex<Option<Arc<Proof>>>>;

/// What was sent, and what renews it.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) headers: HeaderMap,
}

impl Access {
    /// # Errors
    /// Nothing of what the options say depends on the caller, although it should.
    pub(crate) fn new(args: AccessArgs, patience: Duration) -> Result<Self, ToolError> {
        let mut secrets = [&args.bearer, &args.basic, &args.cookie]
            .into_iter()
            .flatten()
            .chain(args.secret_header.iter().map(|it| &it.1));
        let own_netrc = args
            .netrc
            .as_ref()
            .is_some_and(|it| it.as_os_str().is_empty());
        let depends = own_netrc || secrets.any(Secret::depends_on_caller);
        drop(secrets);
        if args.as_caller && !depends {
            return Err(ToolError::usage(
                "nothing here depends on the caller; give --as-caller with --netrc, with a command, \
                 or with {uid} in a file's path",
            ));
        }
        Ok(Self {
            args,
            patience,
            known: std::sync::Mutex::default(),
        })
    }

    /// Whether callers have proofs of their own, and then pages as well.
    pub(crate) fn depends_on_caller(&self) -> bool {
        self.args.as_caller
    }

    /// What to send to the server of `url` for `who`; something new, where `refused` has been refused.
    ///
    /// # Errors
    /// A secret cannot be had (`EACCES`).
    pub(crate) async fn proof(
        &self,
        url: &Url,
        who: &Who,
        refused: Option<&Arc<Proof>>,
    ) -> Result<Arc<Proof>, Failure> {
        let key = if self.args.as_caller { who.uid } else { 0 };
        let place = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(key).or_default())
        };
        // Whoever comes while a command runs waits for what it says, instead of running it again; but
        // not for those of other callers.
        let Ok(mut known) = timeout(self.patience, place.lock()).await else {
            let text = "the secret that another open asks for has not come";
            return Err(Failure::late(text, self.patience));
        };
        if let Some(proof) = &*known
            && refused.is_none_or(|refused| !Arc::ptr_eq(refused, proof))
        {
            return Ok(Arc::clone(proof));
        }
        let headers = self.headers(url, who).await?;
        let proof = Arc::new(Proof { headers });
        *known = Some(Arc::clone(&proof));
        Ok(proof)
    }

    async fn headers(&self, url: &Url, who: &Who) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        let mut add = |name: HeaderName, value: Vec<u8>| {
            let mut value = HeaderValue::from_bytes(&value).map_err(|_| {
                secret::failure(&format!(
                    "what is to be sent as {name} is no value of a header"
                ))
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
            Ok::<_, Failure>(())
        };
        let args = &self.args;
        let get = |secret: Secret| {
            let who = who.clone();
            async move { secret.get(&who, args.as_caller, self.patience).await }
        };
        if let Some(secret) = &args.bearer {
            let token = get(secret.clone()).await?;
            add(AUTHORIZATION, [b"Bearer ", &token[..]].concat())?;
        }
        if let Some(secret) = &args.basic {
            let pair = get(secret.clone()).await?;
            if !pair.contains(&b':') {
                return Err(secret::failure(
                    "--basic needs USER:PASSWORD, and has no colon",
                ));
            }
            add(AUTHORIZATION, basic(&pair))?;
        }
        if let Some(path) = &args.netrc {
            let host = url.host_str().unwrap_or_default().to_owned();
            let (path, caller) = (path.clone(), args.as_caller.then_some(who.uid));
            // It may be a pipe, or on a disk that does not answer.
            let found = spawn_blocking(move || netrc::find(&path, &host, caller));
            let found = timeout(self.patience, found).await.map_err(|_| {
                Failure::late("the file of --netrc has not been read", self.patience)
            })?;
            let found = found.map_err(|error| secret::failure(&error.to_string()))?;
            if let Some(pair) = found? {
                add(AUTHORIZATION, basic(&pair))?;
            }
        }
        if let Some(secret) = &args.cookie {
            add(COOKIE, get(secret.clone()).await?)?;
        }
        for (name, secret) in &args.secret_header {
            add(name.clone(), get(secret.clone()).await?)?;
        }
        Ok(headers)
    }
}

/// RFC 7617.
fn basic(pair: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = b"Basic ".to_vec();
    for group in pair.chunks(3) {
        let byte = |number: usize| u32::from(group.get(number).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for number in 0..4 {
            let index = bits >> (18 - 6 * number) & 63;
            out.push(match number <= group.len() {
                true => LETTERS[index as usize],
                false => b'=',
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_base64() {
        for (pair, text) in [
            ("Aladdin:open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("a:b", "Basic YTpi"),
            ("a:bc", "Basic YTpiYw=="),
            ("a:bcd", "Basic YTpiY2Q="),
        ] {
            assert_eq!(String::from_utf8(basic(pair.as_bytes())).unwrap(), text);
        }
    }
}
