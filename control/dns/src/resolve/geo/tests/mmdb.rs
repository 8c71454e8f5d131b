//! Writes databases in MaxMind's format, version 2 (https://maxmind.github.io/MaxMind-DB/).

/// What a record is made of.
pub(super) enum Value<'v> {
    Map(Vec<(&'v str, Self)>),
    List(Vec<Self>),
    Text(&'v str),
    Double(f64),
    /// Of this type: 5 is 16 bits wide, 6 is 32, 9 is 64.
    Number(u8, u64),
}

/// A database that is being written.
pub(super) struct Writer {
    ip_version: u8,
    /// Bits of one end of a node: 24, 28 or 32.
    width: u8,
    pub(super) nodes: Vec<[End; 2]>,
    data: Vec<u8>,
}

/// Where an end of a node leads.
#[derive(Clone, Copy)]
pub(super) enum End {
    Nothing,
    Node(usize),
    Data(usize),
}

impl Writer {
    pub(super) fn new(ip_version: u8, width: u8) -> Self {
        Self { ip_version, width, nodes: vec![[End::Nothing; 2]], data: Vec::new() }
    }

    /// Adds a record of networks that are in no other one.
    pub(super) fn add(&mut self, networks: &[&str], record: &Value<'_>) {
        let place = self.data.len();
        record.write(&mut self.data);
        for network in networks {
            let (address, length) = network.split_once('/').unwrap();
            let (bits, before) = match address.parse().unwrap() {
                std::net::IpAddr::V4(address) if self.ip_version == 4 => {
                    (u128::from(address.to_bits()) << 96, 0)
                }
                std::net::IpAddr::V4(address) => (u128::from(address.to_bits()), 96),
                std::net::IpAddr::V6(address) => (address.to_bits(), 0),
            };
            let length: u8 = length.parse().unwrap();
            self.lead(bits, length + before, End::Data(place));
        }
    }

    fn lead(&mut self, bits: u128, length: u8, to: End) {
        let mut node = 0;
        for depth in 0..length {
            let bit = (bits >> (127 - depth) & 1) as usize;
            if depth == length - 1 {
                assert!(matches!(self.nodes[node][bit], End::Nothing));
                self.nodes[node][bit] = to;
                return;
            }
            node = match self.nodes[node][bit] {
                End::Node(next) => next,
                End::Nothing => {
                    self.nodes.push([End::Nothing; 2]);
                    self.nodes[node][bit] = End::Node(self.nodes.len() - 1);
                    self.nodes.len() - 1
                }
                End::Data(_) => panic!("there is a record around it"),
            };
        }
    }

    pub(super) fn finish(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let count = self.nodes.len();
        for node in &self.nodes {
            let [left, right] = node.map(|end| match end {
                End::Nothing => count as u32,
                End::Node(node) => node as u32,
                End::Data(place) => (count + 16 + place) as u32,
            });
            let ([l0, l1, l2, l3], [r0, r1, r2, r3]) = (left.to_be_bytes(), right.to_be_bytes());
            match self.width {
                24 => file.extend([l1, l2, l3, r1, r2, r3]),
                // The byte in the middle has the highest four bits of both.
                28 => file.extend([l1, l2, l3, l0 << 4 | r0, r1, r2, r3]),
                _ => file.extend([l0, l1, l2, l3, r0, r1, r2, r3]),
            }
        }
        file.extend([0; 16]);
        file.extend(&self.data);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        Value::Map(vec![
            ("binary_format_major_version", Value::Number(5, 2)),
            ("binary_format_minor_version", Value::Number(5, 0)),
            ("build_epoch", Value::Number(9, 1_800_000_000)),
            ("database_type", Value::Text("Test-City")),
            ("description", Value::Map(vec![("en", Value::Text("a test"))])),
            ("ip_version", Value::Number(5, self.ip_version.into())),
            ("languages", Value::List(vec![Value::Text("en")])),
            ("node_count", Value::Number(6, count as u64)),
            ("record_size", Value::Number(5, self.width.into())),
        ])
        .write(&mut file);
        file
    }
}

impl Value<'_> {
    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Map(all) => {
                control(7, all.len(), to);
                for (key, value) in all {
                    Value::Text(key).write(to);
                    value.write(to);
                }
            }
            Self::List(all) => {
                control(11, all.len(), to);
                all.iter().for_each(|value| value.write(to));
            }
            Self::Text(text) => {
                control(2, text.len(), to);
                to.extend(text.as_bytes());
            }
            Self::Double(number) => {
                control(3, 8, to);
                to.extend(number.to_be_bytes());
            }
            Self::Number(kind, number) => {
                let bytes = number.to_be_bytes();
                let bytes = &bytes[number.leading_zeros() as usize / 8..];
                control(*kind, bytes.len(), to);
                to.extend(bytes);
            }
        }
    }
}

/// The byte before a value: its type and length; types from 8 on have another one.
fn control(kind: u8, length: usize, to: &mut Vec<u8>) {
    let short = length.min(29) as u8;
    match kind {
        1..8 => to.push(kind << 5 | short),
        _ => to.extend([short, kind - 7]),
    }
    if length >= 29 {
        to.push((length - 29) as u8);
    }
}

/// A record of a city, as MaxMind's databases have it; of the country alone if it has no name.
pub(super) fn city<'v>(
    continent: &'v str,
    country: &'v str,
    subdivisions: &[&'v str],
    name: &'v str,
    coordinates: Option<(f64, f64)>,
) -> Value<'v> {
    let mut record = vec![
        ("continent", Value::Map(vec![("code", Value::Text(continent))])),
        ("country", Value::Map(vec![("iso_code", Value::Text(country))])),
    ];
    if !subdivisions.is_empty() {
        let one = |code: &&'v str| Value::Map(vec![("iso_code", Value::Text(code))]);
        record.push(("subdivisions", Value::List(subdivisions.iter().map(one).collect())));
    }
    if !name.is_empty() {
        let names = Value::Map(vec![("de", Value::Text("anders")), ("en", Value::Text(name))]);
        record.push(("city", Value::Map(vec![("names", names)])));
    }
    if let Some((latitude, longitude)) = coordinates {
        let location = vec![
            ("accuracy_radius", Value::Number(5, 100)),
            ("latitude", Value::Double(latitude)),
            ("longitude", Value::Double(longitude)),
        ];
        record.push(("location", Value::Map(location)));
    }
    Value::Map(record)
}
