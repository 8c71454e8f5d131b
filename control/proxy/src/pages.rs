//! Pages that clients see where no server answers.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::Refused;
use crate::settings::ErrorPage;

/// Most bytes of a page.
const LARGEST: u64 = 256 << 10;

/// A page as it is sent.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: http::StatusCode,
    pub(crate) content_type: http::HeaderValue,
    pub(crate) body: Bytes,
}

/// Reads them from their files.
///
/// # Errors
/// One cannot be read, or is too large.
pub(crate) fn read(settings: &[ErrorPage]) -> Result<Arc<[Page]>, Refused> {
    let page = |page: &ErrorPage| {
        let body = whole(&page.file)
            .map_err(|source| Refused::Page { path: page.file.display().to_string(), source })?;
        let (status, content_type) = (page.status, page.content_type.clone());
        Ok(Page { status, content_type, body: body.into() })
    };
    settings.iter().map(page).collect()
}

fn whole(path: &Path) -> io::Result<Vec<u8>> {
    // What is no file may never end, or never begin.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut body = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut body)?;
    match body.len() as u64 {
        0..=LARGEST => Ok(body),
        _ => Err(io::Error::other(format!("it has more than {LARGEST} bytes"))),
    }
}
