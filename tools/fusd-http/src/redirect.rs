//! Where a redirect leads, and what may go there.

use http::Response;
use reqwest::header::LOCATION;
use reqwest::{Method, Url};

use fusd::Errno;

use crate::failure::Failure;
use crate::target::Shown;

/// What to ask next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) url: Url,
    pub(crate) method: Method,
    /// Whether the body goes there as well.
    pub(crate) body: bool,
}

/// Whether two URLs are of the same server, to which the same secrets may be told.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    // Origins are made anew each time they are looked at.
    one == other || one.origin() == other.origin()
}

/// Where `response` to a request of `method` at `url` sends us, if it does.
///
/// # Errors
/// It leads nowhere, or to where nothing must go (`EIO`).
pub(crate) fn step<B>(
    response: &Response<B>,
    url: &Url,
    method: &Method,
) -> Result<Option<Step>, Failure> {
    let status = response.status().as_u16();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|it| std::str::from_utf8(it.as_bytes()).ok());
    target(status, location, url, method).map(Some)
}

fn target(
    status: u16,
    location: Option<&str>,
    url: &Url,
    method: &Method,
) -> Result<Step, Failure> {
    let refuse = |text: String| Failure::new(Errno::EIO, text);
    let next = location.and_then(|location| url.join(location).ok());
    let Some(mut next) = next else {
        return Err(refuse(format!(
            "the server's {status} does not say where to go"
        )));
    };
    let shown = Shown(&next).to_string();
    match (url.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => {}
        ("https", "http") => {
            return Err(refuse(format!(
                "the server's {status} leads from https to {shown}, where others can listen"
            )));
        }
        _ => return Err(refuse(format!("the server's {status} leads to {shown}"))),
    }
    // As a secret of the URL's own author, it would go into the next request's headers.
    let _ = next.set_username("");
    let _ = next.set_password(None);
    let reads = [Method::GET, Method::HEAD].contains(method);
    // RFC 9110, 15.4: what everybody does with a POST that is answered by 301 or 302.
    let becomes_get = status == 303 || matches!(status, 301 | 302) && *method == Method::POST;
    Ok(Step {
        url: next,
        method: match becomes_get && !reads {
            true => Method::GET,
            false => method.clone(),
        },
        body: !becomes_get,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(status: u16, to: &str, from: &str, method: Method) -> Result<Step, Failure> {
        target(status, Some(to), &Url::parse(from).unwrap(), &method)
    }

    #[test]
    fn methods_change_as_everywhere() {
        for (status, method, next, body) in [
            (301, Method::GET, Method::GET, true),
            (302, Method::POST, Method::GET, false),
            (303, Method::PUT, Method::GET, false),
            (301, Method::PUT, Method::PUT, true),
            (307, Method::POST, Method::POST, true),
            (308, Method::PATCH, Method::PATCH, true),
        ] {
            let step = go(status, "/b", "http://host/a", method).unwrap();
            assert_eq!((step.method, step.body), (next, body), "{status}");
            assert_eq!(step.url.as_str(), "http://host/b");
        }
    }

    #[test]
    fn nothing_leaves_what_is_safe() {
        for (from, to) in [
            ("https://host/", "http://host/"),
            ("http://host/", "file:///etc/passwd"),
            ("http://host/", "http://"),
        ] {
            let failure = go(302, to, from, Method::GET).unwrap_err();
            assert_eq!(failure.errno, Errno::EIO);
        }
        assert!(target(302, None, &Url::parse("http://h/").unwrap(), &Method::GET).is_err());
        assert!(go(302, "https://other/", "http://host/", Method::GET).is_ok());
    }

    #[test]
    fn another_port_is_another_server() {
        let url = |text| Url::parse(text).unwrap();
        let here = url("https://host/a");
        assert!(same_origin(&here, &url("https://host:443/b")));
        for other in ["https://host:444/", "http://host/", "https://sub.host/"] {
            assert!(!same_origin(&here, &url(other)), "{other}");
        }
    }
}
