//! The program at its hook: put there, taken over from another process, left behind, taken away.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::ProgramHandle;
use nix::errno::Errno;

use crate::bpffs::pin_name;
use crate::clsact::{self, Filter};
use crate::link::{self, Link, Point};
use crate::skeleton::DecapProgs;
use crate::{Error, Hook, Settings};

/// The names of our programs, as the kernel tells them.
const PROGRAMS: [&str; 2] = ["decap_tc", "decap_xdp"];

/// The program at its hook. Taken away on drop, unless it is to stay for the next process.
#[derive(Debug)]
pub(crate) struct Attachment {
    hook: Hook,
    kept: Kept,
    program: ProgramHandle,
    pin: Option<PathBuf>,
    stays: bool,
}

#[derive(Debug)]
enum Kept {
    Link(Link),
    Filter(Filter),
}

impl Attachment {
    /// Attaches the program, in the place of one that is pinned, and pins it.
    pub(crate) fn new(
        programs: &DecapProgs<'_>,
        ifindex: i32,
        hook: Hook,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Attach { interface: settings.interface.clone(), hook, source };
        let program = if hook.is_xdp() { &programs.decap_xdp } else { &programs.decap_tc };
        let pin = settings.pin.as_deref();
        let kept = match hook.point() {
            Some(point) => link(program.as_fd(), ifindex, point, pin, &failed)?,
            None => filter(program, ifindex, pin, &failed)?,
        };
        let program = ProgramHandle::try_from(program).map_err(io::Error::other).map_err(failed)?;
        Ok(Self { hook, kept, program, stays: pin.is_some(), pin: settings.pin.clone() })
    }

    pub(crate) fn hook(&self) -> Hook {
        self.hook
    }

    /// Whether it is where it was put: an interface that was made anew has nothing attached.
    pub(crate) fn is_in_place(&self, ifindex: i32) -> io::Result<bool> {
        match (&self.kept, self.hook.point()) {
            (Kept::Filter(filter), _) => Ok(filter.is_in_place(&self.program, ifindex)),
            (Kept::Link(_), Some(point)) => link::is_attached(self.program.id(), ifindex, point),
            // A link without a point is none of ours.
            (Kept::Link(_), None) => Ok(false),
        }
    }

    /// Takes it away, and its pin.
    pub(crate) fn detach(mut self) -> io::Result<()> {
        self.stays = true;
        self.remove()
    }

    fn remove(&self) -> io::Result<()> {
        let link = match &self.kept {
            Kept::Filter(filter) => return filter.remove(&self.program),
            Kept::Link(link) => link,
        };
        let info = link.info()?;
        if info.program != self.program.id() {
            // A process started since has taken it over: it is that one's now.
            return Ok(());
        }
        link.detach()?;
        let Some(pin) = &self.pin else { return Ok(()) };
        match Link::pinned(pin)? {
            Some(pinned) if pinned.info()? == info => fs::remove_file(pin),
            Some(_) | None => Ok(()),
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // Closing a link alone would leave it to a child between fork and exec to detach it.
        if !self.stays
            && let Err(error) = self.remove()
        {
            tracing::warn!(%error, "the program, or its clsact qdisc, was left behind");
        }
    }
}

/// Attaches by a link.
fn link(
    program: BorrowedFd<'_>,
    ifindex: i32,
    point: Point,
    pin: Option<&Path>,
    failed: &dyn Fn(io::Error) -> Error,
) -> Result<Kept, Error> {
    let Some(pin) = pin else {
        return Link::attach(program, ifindex, point).map(Kept::Link).map_err(failed);
    };
    let mut old = ours(pin)?;
    if let Some(link) = old.take() {
        let present = link.info().map_err(failed)?.program;
        if link::is_attached(present, ifindex, point).map_err(failed)? {
            link.update(program).map_err(failed)?;
            return Ok(Kept::Link(link));
        }
        old = Some(link);
    }
    let new = match (Link::attach(program, ifindex, point), &old) {
        // XDP has room for one program: the old one's, by another mode.
        (Err(error), Some(old)) if is_taken(&error) => {
            old.detach().and_then(|()| Link::attach(program, ifindex, point))
        }
        (result, _) => result,
    }
    .map_err(failed)?;
    replace(old, Some(&new), pin)?;
    // Left by a process that used clsact, which has its place and no pin.
    clsact::remove_left(program, ifindex, PROGRAMS[0]).map_err(failed)?;
    Ok(Kept::Link(new))
}

/// Attaches by a filter, which replaces one of ours in its place.
fn filter(
    program: &impl AsFd,
    ifindex: i32,
    pin: Option<&Path>,
    failed: &dyn Fn(io::Error) -> Error,
) -> Result<Kept, Error> {
    let filter = Filter::attach(program.as_fd(), ifindex, PROGRAMS[0]).map_err(failed)?;
    if let Some(pin) = pin {
        replace(ours(pin)?, None, pin)?;
    }
    Ok(Kept::Filter(filter))
}

/// Our link that is pinned there, if anything is.
fn ours(pin: &Path) -> Result<Option<Link>, Error> {
    let Some(link) = Link::pinned(pin).map_err(unpinned(pin))? else { return Ok(None) };
    let program = link.info().map_err(unpinned(pin))?.program;
    let program = ProgramHandle::from_prog_id(program).map_err(io::Error::other);
    let name = program.map_err(unpinned(pin))?.name().to_owned();
    if PROGRAMS.iter().any(|&ours| name == ours) {
        return Ok(Some(link));
    }
    let other = io::Error::new(io::ErrorKind::AlreadyExists, "another program's link is there");
    Err(unpinned(pin)(other))
}

/// Detaches the node's programs that are pinned in the folder for interfaces that are not among these.
pub(crate) fn detach_left(
    folder: &Path,
    node: &str,
    kept: &[String],
) -> Result<Vec<String>, Error> {
    let kept: Vec<String> = kept.iter().map(|interface| pin_name(node, interface)).collect();
    let of_node = pin_name(node, "");
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unpinned(folder)(error)),
    };
    let mut left = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unpinned(folder))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !name.starts_with(&of_node) || kept.contains(&name) {
            continue;
        }
        let path = entry.path();
        if let Some(link) = ours(&path)? {
            replace(Some(link), None, &path)?;
            left.push(name);
        }
    }
    Ok(left)
}

/// Unpins and detaches the old link once the new one, if it is one, is attached.
fn replace(old: Option<Link>, new: Option<&Link>, pin: &Path) -> Result<(), Error> {
    if old.is_some() {
        fs::remove_file(pin).map_err(unpinned(pin))?;
    }
    if let Some(new) = new {
        new.pin(pin).map_err(unpinned(pin))?;
    }
    old.map_or(Ok(()), |old| old.detach()).map_err(unpinned(pin))
}

fn unpinned(pin: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = pin.to_owned();
    move |source| Error::Pin { path: path.clone(), source }
}

/// Whether a program is there, and no room for another.
pub(crate) fn is_taken(error: &io::Error) -> bool {
    let taken = [Errno::EBUSY, Errno::EEXIST].map(|errno| Some(errno as i32));
    taken.contains(&error.raw_os_error()) || error.kind() == io::ErrorKind::AlreadyExists
}
