//! Zone files in master format (RFC 1035 section 5, RFC 2308 section 4), with gdnsd's `DYNA` and `DYNC`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lex::{Entry, Lexer, Word};
use super::origin::Origins;
use super::problem::{Place, Problem, Why, text};
use super::rdata::rdata;
use super::ttl;
use crate::name::Name;
use crate::rtype::Rtype;

/// Files within files at most.
const DEEPEST: usize = 16;
/// Files at most, each as often as it is included.
const MOST: usize = 1000;

/// A record as it stands in a file.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) place: Place,
    pub(super) owner: Name,
    /// The most, of a dynamic one.
    pub(super) ttl: u32,
    pub(super) data: Data,
}

/// What a record says.
#[derive(Debug)]
pub(super) enum Data {
    Static(Rtype, Box<[u8]>),
    /// What a resolver says (`PLUGIN!RESOURCE`).
    Dynamic {
        plugin: String,
        resource: String,
        /// Seconds that it lives at least.
        least: u32,
        /// It may be the name of somebody else: `DYNC`.
        may_alias: bool,
    },
}

/// Reads files: those of the disk, or others.
pub(super) type Reader<'r> = &'r dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// Reads a zone's file, and those that it includes. Everything that is wrong is added to `problems`.
pub(super) fn read(
    zone: &Name,
    path: &Path,
    default_ttl: u32,
    reader: Reader<'_>,
    take: &mut dyn FnMut(Item),
    problems: &mut Vec<Problem>,
) {
    let mut master = Master { files: 0, reader, take, problems };
    let start =
        Start { origins: Origins::of(zone), ttl: default_ttl, owner: zone.clone(), depth: 0 };
    if let Err(why) = master.file(path, start) {
        let place = Place { file: Arc::new(path.to_owned()), line: 0 };
        master.problems.push(Problem { place, why });
    }
}

struct Master<'r> {
    /// Files that were read.
    files: usize,
    reader: Reader<'r>,
    take: &'r mut dyn FnMut(Item),
    problems: &'r mut Vec<Problem>,
}

/// What a file begins with.
struct Start {
    origins: Origins,
    ttl: u32,
    /// That of the entry before; of a file's first one the zone's name, as with gdnsd.
    owner: Name,
    depth: usize,
}

impl Master<'_> {
    /// What is wrong within the file is noted; that it cannot be read is not.
    fn file(&mut self, path: &Path, start: Start) -> Result<(), Why> {
        if start.depth > DEEPEST {
            return Err(Why::Deep(DEEPEST));
        }
        self.files += 1;
        if self.files > MOST {
            return Err(Why::Many(MOST));
        }
        let contents = (self.reader)(path)
            .map_err(|error| Why::File(path.display().to_string(), error.to_string()))?;
        let place = Place { file: Arc::new(path.to_owned()), line: 0 };
        let mut file = File { place, start };
        let (mut lexer, mut entry) = (Lexer::new(&contents), Entry::default());
        loop {
            match lexer.next(&mut entry) {
                Ok(true) => {
                    file.place.line = entry.line;
                    if let Err(why) = self.entry(&mut file, &entry) {
                        self.problems.push(Problem { place: file.place.clone(), why });
                    }
                }
                Ok(false) => return Ok(()),
                // Where the next entry begins nobody knows.
                Err(why) => {
                    file.place.line = lexer.line();
                    self.problems.push(Problem { place: file.place, why });
                    return Ok(());
                }
            }
        }
    }

    fn entry(&mut self, file: &mut File, entry: &Entry<'_>) -> Result<(), Why> {
        match entry.words.split_first() {
            Some((first, words)) if !first.is_quoted && first.text.starts_with(b"$") => {
                self.directive(file, *first, words)
            }
            _ => {
                let item = file.record(entry)?;
                (self.take)(item);
                Ok(())
            }
        }
    }

    fn directive(
        &mut self,
        file: &mut File,
        name: Word<'_>,
        words: &[Word<'_>],
    ) -> Result<(), Why> {
        let Start { origins, ttl, depth, .. } = &mut file.start;
        if name.is("$TTL") {
            let [word] = words else { return Err(Why::Usage("$TTL takes one time")) };
            *ttl = ttl::parse(word.text).ok_or_else(|| Why::Ttl(text(word.text)))?;
        } else if name.is("$ORIGIN") {
            let [word] = words else { return Err(Why::Usage("$ORIGIN takes one name")) };
            let origin = origins.name(*word)?;
            if !origin.is_within(&origins.zone) {
                return Err(Why::Outside(origin, origins.zone.clone()));
            }
            origins.current = origin;
        } else if name.is("$INCLUDE") {
            let (path, origin) = match words {
                [path] => (path, origins.current.clone()),
                [path, origin] => (path, origins.name(*origin)?),
                _ => return Err(Why::Usage("$INCLUDE takes a file, and may take an origin")),
            };
            if !origin.is_within(&origins.zone) {
                return Err(Why::Outside(origin, origins.zone.clone()));
            }
            let beside = file.place.file.parent().unwrap_or_else(|| Path::new(""));
            let path: PathBuf = beside.join(text(path.text));
            let origins = origins.included(origin);
            let owner = origins.zone.clone();
            let start = Start { origins, ttl: *ttl, owner, depth: *depth + 1 };
            self.file(&path, start)?;
        } else {
            return Err(Why::Directive(text(name.text)));
        }
        Ok(())
    }
}

/// A file that is being read: where, and what holds there.
struct File {
    place: Place,
    start: Start,
}

impl File {
    fn record(&mut self, entry: &Entry<'_>) -> Result<Item, Why> {
        let mut words = &entry.words[..];
        if !entry.is_indented
            && let Some((first, rest)) = words.split_first()
        {
            self.start.owner = self.start.origins.name(*first)?;
            words = rest;
        }
        let owner = self.start.owner.clone();
        if !owner.is_within(&self.start.origins.zone) {
            return Err(Why::Outside(owner, self.start.origins.zone.clone()));
        }
        let mut time = None;
        // Time and class in either order (RFC 1035 section 5.1).
        let rtype = loop {
            let (first, rest) = words.split_first().ok_or(Why::NoType)?;
            words = rest;
            if first.text.first().is_some_and(u8::is_ascii_digit) && time.is_none() {
                time = Some(first.text);
            } else if ["CH", "HS", "CS"].iter().any(|class| first.is(class)) {
                return Err(Why::Class(text(first.text)));
            } else if !first.is("IN") {
                break *first;
            }
        };
        let place = self.place.clone();
        let may_alias = rtype.is("DYNC");
        if may_alias || rtype.is("DYNA") {
            let (ttl, least) = self.range(time)?;
            let (plugin, resource) = reference(words)?;
            let data = Data::Dynamic { plugin, resource, least, may_alias };
            return Ok(Item { place, owner, ttl, data });
        }
        let known = Rtype::parse(rtype.text).filter(|_| !rtype.is_quoted);
        let rtype = known.ok_or_else(|| Why::Type(text(rtype.text)))?;
        if rtype.is_meta() || matches!(rtype, Rtype(0) | Rtype::OPT) {
            return Err(Why::Reserved(rtype));
        }
        if rtype == Rtype::DNAME {
            return Err(Why::Dname);
        }
        let ttl = match time {
            None => self.start.ttl,
            Some(time) => ttl::parse(time).ok_or_else(|| Why::Ttl(text(time)))?,
        };
        let data = Data::Static(rtype, rdata(rtype, words, &self.start.origins)?);
        Ok(Item { place, owner, ttl, data })
    }

    /// How long a dynamic record lives: at most, and at least.
    fn range(&self, time: Option<&[u8]>) -> Result<(u32, u32), Why> {
        match time {
            None => Ok((self.start.ttl, self.start.ttl / 2)),
            Some(time) => ttl::parse_range(time).ok_or_else(|| Why::Range(text(time))),
        }
    }
}

/// `PLUGIN!RESOURCE`, or a plugin that has nothing to choose among.
fn reference(words: &[Word<'_>]) -> Result<(String, String), Why> {
    let all = || words.iter().map(|word| text(word.text)).collect::<Vec<_>>().join(" ");
    let [word] = words else { return Err(Why::Reference(all())) };
    let whole = text(word.text);
    match whole.split_once('!') {
        Some((plugin, resource)) if !plugin.is_empty() && !resource.is_empty() => {
            Ok((plugin.to_owned(), resource.to_owned()))
        }
        None if !whole.is_empty() => Ok((whole, String::new())),
        _ => Err(Why::Reference(whole)),
    }
}
