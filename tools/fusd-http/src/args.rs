//! The command line.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use clap::Parser;
use fusd::{BackendKind, Errno, Error, ErrorKind};
use fusd_tool::{CommonArgs, Driver, Tool, ToolError};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;
use tokio_util::task::TaskTracker;

use crate::access::{Access, AccessArgs};
use crate::cache::{BLOCK, Cache};
use crate::client;
use crate::demand::Demand;
use crate::device::HttpDevice;
use crate::direct::Direct;
use crate::exchange::{Exchange, Setup};
use crate::keeping::KeepArgs;
use crate::kept::Shelf;
use crate::network::NetworkArgs;
use crate::page::{OnChange, Rules, Source};
use crate::ranged::Parts;
use crate::runtime;
use crate::status::StatusFile;
use crate::talk::{Server, Writing};
use crate::target::{self, Header};
use crate::template::Target;
use crate::traffic::{Line, Traffic};
use crate::version::Versions;
use crate::who::Who;
use crate::writing::StreamArgs;

const READING: &str = "Reading";

/// How many answers may go on beyond what is wanted. While one waits for its reader, it has up to 1 MiB of
/// memory that is not counted, and by HTTP/2 one of the streams that the server allows.
const LASTING: usize = 16;

/// Make a device node of a URL
///
/// Reading the node is a GET. Programs that know nothing of HTTP can read the page like a file, also
/// from the middle of it.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// What to serve: http://HOST/PATH or https://HOST/PATH
    ///
    /// {uid}, {pid} and {program} in the path and the query are those of whoever opens the node.
    #[arg(value_name = "URL", value_parser = Target::parse)]
    pub url: Target,

    /// Path of the node; the same as --path
    #[arg(value_name = "NODE", conflicts_with_all = ["name", "path"])]
    pub node: Option<PathBuf>,

    /// Send this header with each request; repeatable. Not for secrets: everybody can see them here
    #[arg(long, value_name = "NAME: VALUE", value_parser = target::header, help_heading = READING)]
    pub header: Vec<Header>,

    /// What a read does where the page has changed since the file was opened
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = READING)]
    pub on_change: OnChange,

    /// How much of pages is kept in memory for all readers together
    #[arg(long, value_name = "SIZE", value_parser = cache_size, default_value = "64M", allow_negative_numbers = true, help_heading = READING)]
    pub cache_size: usize,

    /// How much is asked for at most before it is read, for each reader who reads on
    #[arg(long, value_name = "SIZE", value_parser = fusd_tool::size, default_value = "4M", allow_negative_numbers = true, help_heading = READING)]
    pub read_ahead: usize,

    /// Let the server compress the page; it is read from its beginning then, not in parts
    #[arg(long, help_heading = READING)]
    pub compressed: bool,

    /// Largest page, in bytes, or with K, M, G or T [default: no limit]
    ///
    /// The open of a larger one fails with EFBIG, or the read, where the length was not known.
    #[arg(long, value_name = "SIZE", value_parser = fusd_tool::size, allow_negative_numbers = true, help_heading = READING)]
    pub max_size: Option<usize>,

    /// Put the head of the server's last answer into this file, for its owner to read
    #[arg(long, value_name = "FILE", help_heading = READING)]
    pub status_file: Option<PathBuf>,

    /// Show how far it is, on a terminal: bytes from the server, time, bytes per second, requests
    #[arg(long, help_heading = READING)]
    pub progress: bool,

    /// What is kept.
    #[command(flatten)]
    pub keep: KeepArgs,

    /// What makes it a stream.
    #[command(flatten)]
    pub stream: StreamArgs,

    /// Who asks.
    #[command(flatten)]
    pub access: AccessArgs,

    /// How servers are reached.
    #[command(flatten)]
    pub network: NetworkArgs,

    /// The options of every tool.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Reads a size that is of some use.
fn cache_size(text: &str) -> Result<usize, String> {
    let size = fusd_tool::size(text)?;
    match size as u64 >= 16 * BLOCK {
        true => Ok(size),
        false => Err("give at least 512K".to_owned()),
    }
}

impl Tool for Args {
    const NAME: &'static str = "fusd-http";
    type Device = HttpDevice;

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn node_path(&self) -> Option<&Path> {
        self.node.as_deref().or(self.common.path.as_deref())
    }

    fn driver(&self) -> Result<Driver<HttpDevice>, ToolError> {
        self.check()?;
        let writing = self.stream.writing()?;
        let patience = self.network.first_byte_timeout;
        let access = Access::new(self.access.clone(), patience)?;
        let client = client::make(self.url.url(), &self.network, self.stream.is_live())?;
        let runtime = runtime::start()?;
        let direct = Direct::to(self.url.url(), &self.network, runtime.handle());
        let status = self.status_file.as_deref().map(|path| {
            StatusFile::new(path).map_err(|error| {
                let error = Error::system(ErrorKind::Runtime, Errno::from(error), "write");
                ToolError::from(error.on(path))
            })
        });
        let traffic = Arc::<Traffic>::default();
        let exchange = Exchange::new(Setup {
            client,
            direct,
            target: self.url.clone(),
            access,
            headers: self.header.clone(),
            compressed: self.compressed,
            network: self.network.clone(),
            status: status.transpose()?,
            traffic: Arc::clone(&traffic),
        });
        let mut driver = match self.stream.is_stream() {
            false => self.pages(runtime, exchange),
            true => self.streams(runtime, exchange, writing),
        };
        if self.progress {
            let mut line = Line::new(Instant::now());
            driver = driver.progress(move || line.tell(&traffic, Instant::now()));
        }
        Ok(driver)
    }
}

impl Args {
    /// What the grammar of the command line does not tell.
    fn check(&self) -> Result<(), ToolError> {
        let given = [
            (self.on_change != OnChange::default(), "--on-change"),
            (self.max_size.is_some(), "--max-size"),
            (self.keep.cache.is_some(), "--cache"),
            (self.keep.poll_interval.is_some(), "--poll-interval"),
            (self.keep.jq.is_some(), "--jq"),
        ];
        let depends = self.access.as_caller || self.url.depends_on_caller();
        if self.keep.poll_interval.is_some() && depends {
            return Err(ToolError::usage(
                "nobody knows who will ask for the page; give --cache instead of --poll-interval",
            ));
        }
        match given.iter().find(|it| it.0 && self.stream.is_stream()) {
            Some((_, option)) => Err(ToolError::usage(format!(
                "{option} is for pages that are read like a file; do without it, or without \
                 --method, --live, --sse and --follow"
            ))),
            None => Ok(()),
        }
    }

    /// A node that is read like a file.
    fn pages(&self, runtime: Runtime, exchange: Exchange) -> Driver<HttpDevice> {
        let handle = runtime.handle().clone();
        let limit = self.max_size.unwrap_or(self.cache_size) as u64;
        let shelf = self.keep.keeps().then(|| {
            let (time, filter) = (self.keep.time(), self.keep.jq.clone());
            Arc::new(Shelf::new(
                handle.clone(),
                exchange.clone(),
                time,
                filter,
                limit,
            ))
        });
        let parts = Parts {
            runtime: handle.clone(),
            exchange,
            cache: Cache::new(self.cache_size),
            demand: Demand::new(self.cache_size),
            may_last: self.network.max_time.is_none(),
            lasting: Arc::new(Semaphore::new(LASTING)),
            read_ahead: self.read_ahead,
            readers: AtomicUsize::new(0),
        };
        let source = Source {
            parts: Arc::new(parts),
            versions: Versions::default(),
            rules: Rules {
                on_change: self.on_change,
                max_size: self.max_size.map(|size| size as u64),
            },
            shelf: shelf.clone(),
        };
        let driver = Driver::new(HttpDevice::pages(source));
        let driver = driver.after_end(move || runtime.shutdown_background());
        match (shelf, self.keep.poll_interval) {
            (Some(shelf), Some(interval)) => driver.on_ready(move |_| {
                handle.spawn(poll(shelf, interval));
                Ok(())
            }),
            _ => driver,
        }
    }

    /// A node that is a stream.
    fn streams(
        &self,
        runtime: Runtime,
        exchange: Exchange,
        writing: Option<Writing>,
    ) -> Driver<HttpDevice> {
        let tasks = TaskTracker::new();
        let server = Arc::new(Server {
            runtime: runtime.handle().clone(),
            exchange,
            writing,
            live: self.stream.live(self.network.retry_max_wait),
            is_cuse: OnceLock::new(),
            tasks: tasks.clone(),
        });
        let started = Arc::clone(&server);
        Driver::new(HttpDevice::stream(server))
            .on_ready(move |session| {
                let is_cuse = session.backend() == BackendKind::Cuse;
                started.is_cuse.get_or_init(|| is_cuse);
                Ok(())
            })
            .after_end(move || runtime::end(runtime, &tasks))
    }
}

/// Asks for the page so often.
async fn poll(shelf: Arc<Shelf>, interval: Duration) {
    let nobody = Arc::new(Who::default());
    let mut clock = tokio::time::interval(interval);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        shelf.refresh(&nobody).await;
    }
}
