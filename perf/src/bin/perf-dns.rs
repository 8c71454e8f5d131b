//! palier-control in the role dns beside gdnsd, by turns: CPU time of a question, by UDP and TCP; how soon a verdict
//! is in the answers; how soon a large zone is served, and in how much memory.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use perf::cpu;
use perf::figure::{Asked as Limit, Figure, table};
use perf::nameservers::{Asked, Place, Server, addresses};
use perf::rounds::Spread;

/// Compares palier's DNS with gdnsd.
#[derive(Parser)]
struct Flags {
    /// The program palier-control.
    #[arg(long)]
    control: PathBuf,
    /// File that the figures are appended to.
    #[arg(long)]
    figures: Option<PathBuf>,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that each is measured for in a round.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Directory for files of their own: on tmpfs.
    #[arg(long, default_value = "/dev/shm")]
    state_dir: PathBuf,
    /// Only `cpu`, `verdict` or `load`.
    #[arg(long, default_value = "")]
    only: String,
}

const PART: &str = "dns";
/// CPUs of the servers, and of who asks.
const CPUS: [usize; 2] = [0, 1];
/// Records of the large zone.
const RECORDS: usize = 100_000;
/// Most CPU time of a question, in gdnsd's, by UDP and by TCP.
const UDP: f64 = 1.05;
const TCP: f64 = 0.5;
/// Milliseconds from a verdict to an answer that follows it.
const VERDICT: f64 = 5.0;
/// Seconds until the large zone is served, and MB that the process has then.
const SERVED: f64 = 0.4;
const MEMORY: f64 = 70.0;

fn main() -> io::Result<()> {
    let flags = Flags::parse();
    cpu::pin(CPUS[1])?;
    let folder = tempfile::tempdir_in(&flags.state_dir)?;
    let place = Place::prepare(folder.path(), &flags.control, CPUS)?;
    let mut figures = Vec::new();
    let is_wanted = |name: &str| name.contains(&flags.only);
    if is_wanted("cpu") {
        for asked in Asked::ALL {
            figures.extend(questions(&flags, &place, asked, false, UDP)?);
        }
        figures.extend(questions(&flags, &place, Asked::Static, true, TCP)?);
    }
    if is_wanted("verdict") {
        figures.push(verdict(&flags, &place)?);
    }
    if is_wanted("load") {
        figures.extend(load(&flags, &place)?);
    }
    print!("{}", table(&figures));
    match &flags.figures {
        Some(file) => figures.iter().try_for_each(|figure| figure.append_to(file)),
        None => Ok(()),
    }
}

/// CPU time of a question, of both, and palier's in gdnsd's in the same round.
fn questions(
    flags: &Flags,
    place: &Place,
    asked: Asked,
    tcp: bool,
    limit: f64,
) -> io::Result<Vec<Figure>> {
    let mut micros = Server::ALL.map(|_| Vec::new());
    let name = format!("{} by {}", asked.name(), if tcp { "TCP" } else { "UDP" });
    for round in 0..flags.rounds {
        let mut order: Vec<_> = Server::ALL.into_iter().zip(&mut micros).collect();
        order.rotate_left(round % Server::ALL.len());
        for (server, values) in order {
            let (subject, _) = place.start(server)?;
            place.ask(server, asked, tcp, 1)?;
            let before = subject.cpu()?;
            let answered = place.ask(server, asked, tcp, flags.seconds)?;
            let each = (subject.cpu()? - before).as_secs_f64() * 1e6 / answered as f64;
            eprintln!("{name}: {}: {each:.2} us, {}/s", server.name(), answered / flags.seconds);
            values.push(each);
        }
    }
    let each = Server::ALL.iter().zip(&micros).map(|(server, values)| {
        let spread = Spread::of(values.iter().copied());
        Figure::new(PART, format!("{name}: {}", server.name()), "us of CPU", spread)
    });
    let [ours, theirs] = &micros;
    let ratios = Spread::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs));
    let ratio = Figure::new(PART, format!("{name}: in gdnsd's"), "", ratios);
    Ok(each.chain([ratio.asked(Some(Limit::AtMost(limit)))]).collect())
}

/// From the moment in which a check is told that an address is down to the first answer without it.
fn verdict(flags: &Flags, place: &Place) -> io::Result<Figure> {
    // Both addresses are this listener's, which tells them apart by where it is asked.
    let listener = TcpListener::bind("0.0.0.0:5380")?;
    let (is_down, told) = (Arc::<AtomicBool>::default(), mpsc::channel());
    let (down, sender) = (is_down.clone(), told.0);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Of a check that goes away nothing is to be learned.
            let _ = answer(stream, &down, &sender);
        }
    });
    let check = "up_thresh = 0.1\ncheck.http = { path = \"/\", port = 5380, drain_status = [] }\ncheck.interval = \"100ms\"\n\
        check.timeout = \"100ms\"\ncheck.rise = 1\ncheck.fall = 1\n";
    let addresses_of = "addresses = [\"127.0.0.1\", \"127.0.0.2\"]";
    place.site(check)?;
    let site = place.path("palier/site.toml");
    let text = fs::read_to_string(&site)?;
    let text = text.replace("addresses = [\"198.51.100.1\", \"198.51.100.2\"]", addresses_of);
    fs::write(&site, text)?;
    let (_subject, _) = place.start(Server::Palier)?;
    let given = || addresses(Server::Palier.at(), "dynamic.example.org").unwrap_or_default();
    let mut millis = Vec::new();
    for _ in 0..flags.rounds * 4 {
        is_down.store(false, SeqCst);
        until(|| given().len() == 2)?;
        while told.1.try_recv().is_ok() {}
        is_down.store(true, SeqCst);
        let at = told.1.recv_timeout(Duration::from_secs(5)).map_err(io::Error::other)?;
        until(|| given() == ["127.0.0.2"])?;
        millis.push(at.elapsed().as_secs_f64() * 1e3);
    }
    let figure = Figure::new(PART, "from a verdict to the answer", "ms", Spread::of(millis));
    Ok(figure.asked(Some(Limit::AtMost(VERDICT))))
}

/// Says that all is well, or, for 127.0.0.1, that it is not; and when that was said.
fn answer(
    mut stream: std::net::TcpStream,
    is_down: &AtomicBool,
    told: &mpsc::Sender<Instant>,
) -> io::Result<()> {
    let mut request = [0; 1024];
    let _ = stream.read(&mut request)?;
    let says_down = is_down.load(SeqCst) && stream.local_addr()?.ip().to_string() == "127.0.0.1";
    let status = if says_down { "500 No" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    if says_down {
        // Nobody waits any more: it was told before.
        let _ = told.send(Instant::now());
    }
    Ok(())
}

fn until(mut is_so: impl FnMut() -> bool) -> io::Result<()> {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > Duration::from_secs(10) {
            return Err(io::Error::other("what was waited for has not come"));
        }
    }
    Ok(())
}

/// How long it takes from the start of the process until a large zone is answered from, and its memory then.
fn load(flags: &Flags, place: &Place) -> io::Result<Vec<Figure>> {
    let mut text = String::from(
        "@ SOA ns1 host 1 7200 1800 259200 900\n@ NS ns1\nns1 A 192.0.2.1\nstatic A 192.0.2.7\ndynamic 300 DYNA multifo!web\n",
    );
    for n in 0..RECORDS {
        let [_, a, b, c] = (n as u32).to_be_bytes();
        text += &format!("host{n} A 10.{a}.{b}.{c}\n");
    }
    place.zone(&text)?;
    place.site("")?;
    let (mut seconds, mut megabytes) = (Vec::new(), Vec::new());
    for _ in 0..flags.rounds {
        let (subject, took) = place.start(Server::Palier)?;
        seconds.push(took.as_secs_f64());
        megabytes.push(subject.memory()?.peak as f64 / 1e6);
    }
    let served = Figure::new(PART, "100,000 records are served", "s", Spread::of(seconds));
    let memory = Figure::new(PART, "100,000 records: most memory", "MB", Spread::of(megabytes));
    Ok(vec![served.asked(Some(Limit::AtMost(SERVED))), memory.asked(Some(Limit::AtMost(MEMORY)))])
}
