//! The client of the network, as the options make it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use fusd::{Errno, Error, ErrorKind};
use fusd_tool::ToolError;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy, Url};

use crate::failure::NoSuchHost;
use crate::network::{HttpVersion, NetworkArgs};

/// How long a connection is kept that nobody uses. Servers close theirs after 5 seconds (Node.js) or
/// more: to meet one that is just being closed would fail a request that cannot be sent twice.
pub(crate) const IDLE: Duration = Duration::from_secs(4);

/// What the tool calls itself.
pub(crate) const AGENT: &str = concat!("fusd-http/", env!("CARGO_PKG_VERSION"));

/// What the server may send to a reader who does not read, with HTTP/2, in bytes.
const STREAM_WINDOW: u32 = 1 << 20;

/// The same for all readers of a connection: the largest window there is (RFC 9113, 6.9.1).
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// Makes the client. `live`: it asks for streams that may last for ever. Unless version 2 is demanded,
/// each of them has a connection of its own then: on a shared one, servers allow some hundred.
///
/// # Errors
/// A file that an option names cannot be read, or is not what it should be.
pub(crate) fn make(url: &Url, network: &NetworkArgs, live: bool) -> Result<Client, ToolError> {
    // Where another part of the program has chosen one before, that is as good.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(AGENT)
        .redirect(Policy::none())
        .connect_timeout(network.connect_timeout)
        .pool_idle_timeout(IDLE)
        // Readers who pause fill the window of their own stream, never that of the connection, which
        // others use as well.
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .dns_resolver(Lookup);
    builder = match network.http {
        HttpVersion::Auto if !live => builder,
        HttpVersion::Auto | HttpVersion::One => builder.http1_only(),
        HttpVersion::Two => builder.http2_prior_knowledge(),
    };
    if let Some(path) = &network.ca {
        let certificates = Certificate::from_pem_bundle(&read(path)?);
        let certificates = certificates.map_err(|error| bad(path, "certificates", &error))?;
        if certificates.is_empty() {
            return Err(ToolError::failed(format!(
                "{} has no certificate; give --ca a PEM file with at least one",
                path.display()
            )));
        }
        builder = builder.tls_certs_only(certificates);
    }
    if let Some(path) = &network.client_cert {
        let identity = Identity::from_pem(&read(path)?);
        let identity = identity.map_err(|error| bad(path, "a certificate and its key", &error))?;
        builder = builder.identity(identity);
    }
    if let Some(path) = &network.unix_socket {
        builder = builder.unix_socket(path.clone());
    }
    if let Some(proxy) = &network.proxy {
        let proxy = Proxy::all(proxy.clone());
        builder = builder.proxy(proxy.map_err(|error| {
            ToolError::usage(format!("the proxy cannot be used: {error}; give another"))
        })?);
    }
    build(builder, url, network)
}

fn build(builder: ClientBuilder, url: &Url, network: &NetworkArgs) -> Result<Client, ToolError> {
    // A machine may have no certificates at all, and need none.
    let builder = match network.ca.is_none() && url.scheme() == "http" && !has_roots() {
        true => builder.tls_certs_only([]),
        false => builder,
    };
    builder.build().map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        ToolError::failed(format!(
            "TLS cannot be used: {}; install the package ca-certificates, or give --ca FILE",
            cause.unwrap_or_else(|| error.to_string())
        ))
    })
}

/// Whether the machine trusts anybody.
fn has_roots() -> bool {
    let variables = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
    let files = ["/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/ssl/cert.pem"];
    variables
        .iter()
        .any(|name| std::env::var_os(name).is_some())
        || files.iter().any(|path| match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(_) => Path::new(path).is_file(),
        })
}

fn read(path: &Path) -> Result<Vec<u8>, ToolError> {
    fs::read(path).map_err(|error| {
        Error::system(ErrorKind::Runtime, Errno::from(error), "read")
            .on(path)
            .into()
    })
}

fn bad(path: &Path, what: &str, error: &reqwest::Error) -> ToolError {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    ToolError::failed(format!(
        "{} does not hold {what}: {}; give a PEM file",
        path.display(),
        cause.unwrap_or_else(|| error.to_string())
    ))
}

/// The addresses of a host.
pub(crate) type Addresses = std::vec::IntoIter<SocketAddr>;

/// Asks the system's resolver.
///
/// # Errors
/// It knows none: one that can be told from others.
pub(crate) async fn look_up(name: &str) -> Result<Addresses, NoSuchHost> {
    let addresses = tokio::net::lookup_host((name, 0)).await;
    let addresses: Vec<_> = addresses.map_err(NoSuchHost)?.collect();
    Ok(addresses.into_iter())
}

/// The system's resolver.
struct Lookup;

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = look_up(name.as_str()).await?;
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
