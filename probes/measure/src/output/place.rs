//! Which network and country a run was made in, from databases on this machine. No service is asked.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use maxminddb::{MaxMindDbError, Reader, path};

/// Most databases that are opened: one for networks, one for countries, and their spares.
const DATABASES_MAX: usize = 4;

/// Databases in the MaxMind DB format, as GeoLite2 and DB-IP Lite come.
pub struct Places {
    databases: Vec<Reader<Vec<u8>>>,
}

/// Where an address is. The address itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Autonomous system (`AS64500`); `AS0` when unknown.
    pub asn: String,
    /// Country (ISO 3166-1 alpha-2); `ZZ` when unknown.
    pub country: String,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// It does not open.
    #[error("{} is no MaxMind database: GeoLite2-ASN.mmdb or a like one is meant", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: MaxMindDbError,
    },
    /// There are too many.
    #[error("at most {DATABASES_MAX} databases")]
    TooMany,
}

impl Default for Place {
    fn default() -> Self {
        Self { asn: "AS0".to_owned(), country: "ZZ".to_owned() }
    }
}

impl Places {
    /// Opens databases. None is fine: every address is then unknown.
    ///
    /// # Errors
    /// A file is no database.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Self, PlaceError> {
        if paths.len() > DATABASES_MAX {
            return Err(PlaceError::TooMany);
        }
        let open = |path: &P| {
            Reader::open_readfile(path)
                .map_err(|source| PlaceError::Open { path: path.as_ref().to_owned(), source })
        };
        Ok(Self { databases: paths.iter().map(open).collect::<Result<_, _>>()? })
    }

    /// Looks an address up.
    pub fn locate(&self, address: IpAddr) -> Place {
        let mut place = Place::default();
        for database in &self.databases {
            // A damaged record is as good as none.
            let Ok(found) = database.lookup(address) else { continue };
            if let Ok(Some(number)) = found.decode_path::<u32>(&path!["autonomous_system_number"]) {
                place.asn = format!("AS{number}");
            }
            let country = found.decode_path::<String>(&path!["country", "iso_code"]);
            if let Some(code) = country.ok().flatten().filter(|code| is_country(code)) {
                place.country = code;
            }
        }
        place
    }
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("databases", &self.databases.len()).finish()
    }
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A database with one record for every address below 128.0.0.0, written by hand after the MaxMind DB
    /// specification 2.0.
    fn database() -> Vec<u8> {
        // Every text here is shorter than 29 bytes, so its length fits the control byte.
        let text = |text: &str| [&[0x40 | u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
        let map = |entries: u8| vec![0xe0 | entries];
        let u16_ = |value: u16| [&[0xa2][..], &value.to_be_bytes()].concat();
        let u32_ = |value: u32| [&[0xc4][..], &value.to_be_bytes()].concat();
        let u64_ = |value: u64| [&[0x08, 0x02][..], &value.to_be_bytes()].concat();
        let record = [
            map(2),
            text("autonomous_system_number"),
            u32_(64_500),
            text("country"),
            map(1),
            text("iso_code"),
            text("RU"),
        ]
        .concat();
        // One node of two 24-bit records: left leads to the data (node count + 16), right to nothing (node count).
        let tree = [[0, 0, 17].as_slice(), &[0, 0, 1]].concat();
        let metadata = [
            map(9),
            [text("node_count"), u32_(1)].concat(),
            [text("record_size"), u16_(24)].concat(),
            [text("ip_version"), u16_(4)].concat(),
            [text("database_type"), text("test")].concat(),
            [text("languages"), vec![0x00, 0x04]].concat(),
            [text("binary_format_major_version"), u16_(2)].concat(),
            [text("binary_format_minor_version"), u16_(0)].concat(),
            [text("build_epoch"), u64_(0)].concat(),
            [text("description"), map(0)].concat(),
        ]
        .concat();
        [&tree[..], &[0; 16], &record, b"\xab\xcd\xefMaxMind.com", &metadata].concat()
    }

    #[test]
    fn a_database_says_where_an_address_is() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("asn.mmdb");
        fs::write(&file, database()).unwrap();
        let places = Places::open(&[&file]).unwrap();
        let known = places.locate("10.0.0.1".parse().unwrap());
        assert_eq!(known, Place { asn: "AS64500".to_owned(), country: "RU".to_owned() });
        assert_eq!(places.locate("203.0.113.1".parse().unwrap()), Place::default());
        assert_eq!(places.locate("2001:db8::1".parse().unwrap()), Place::default());
    }

    #[test]
    fn without_a_database_nothing_is_known() {
        let places = Places::open::<&Path>(&[]).unwrap();
        assert_eq!(places.locate("10.0.0.1".parse().unwrap()), Place::default());
    }

    #[test]
    fn what_is_no_database_is_an_error() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("no.mmdb");
        fs::write(&file, b"no database").unwrap();
        assert!(matches!(Places::open(&[&file]), Err(PlaceError::Open { .. })));
        assert!(matches!(
            Places::open(&[file.clone(), file.clone(), file.clone(), file.clone(), file]),
            Err(PlaceError::TooMany)
        ));
    }
}
