//! Reads the secret that a device or a viewer shows to the hub.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Longest token file, bytes; tokens are far shorter.
const FILE_BYTES_MAX: u64 = 4 * 1024;

/// Why a token file is not used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Opening or reading it failed.
    #[error("cannot read the token file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Other users may read or write it.
    #[error("the token file {path} is open to other users (mode {mode:03o}): run chmod 600 on it")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold one line of visible ASCII characters.
    #[error("the token file {0} must hold one token: a single line without spaces")]
    Content(PathBuf),
}

/// The token in the file at `path`, without the line's end. A file that other users may read or write is refused.
pub fn read_file(path: &Path) -> Result<String, TokenError> {
    let failed = |source| TokenError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    // Of the open file, not of the path: it is the one that is read.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o006 != 0 {
            return Err(TokenError::Exposed { path: path.to_owned(), mode });
        }
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    let token = text.trim();
    if token.is_empty() || text.len() as u64 > FILE_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError::Content(path.to_owned()));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[cfg(unix)]
    fn token_file(folder: &Path, content: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join("token");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[cfg(unix)]
    #[test]
    fn a_token_is_read_only_from_a_file_that_is_not_open_to_others() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_file(&token_file(folder.path(), "abc-123\n", 0o640)).unwrap(), "abc-123");
        for mode in [0o644, 0o604, 0o602] {
            let error = read_file(&token_file(folder.path(), "abc", mode)).unwrap_err();
            assert!(matches!(error, TokenError::Exposed { mode: told, .. } if told == mode), "{error}");
        }
        for content in ["", "\n", "two words", "tür", &"x".repeat(5_000)] {
            let error = read_file(&token_file(folder.path(), content, 0o600)).unwrap_err();
            assert!(matches!(error, TokenError::Content(_)), "{error}");
        }
        assert!(matches!(read_file(&folder.path().join("none")), Err(TokenError::Read { .. })));
    }
}
