//! Results, printed and kept, beside those of another run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

/// The figures of a row, by name and unit.
pub(crate) type Figures = Vec<(&'static str, f64)>;

#[derive(Debug)]
pub(crate) struct Results {
    circumstances: Value,
    rows: BTreeMap<String, Value>,
}

impl Results {
    /// None yet; under which circumstances they come about.
    pub(crate) fn begin(programs: &Path, size: f64) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load: f64 = load.split(' ').next().and_then(|minute| minute.parse().ok()).unwrap_or_default();
        let mib = |name| fs::metadata(programs.join(name)).map_or(0.0, |file| file.len() as f64 / f64::from(1 << 20));
        let circumstances = json!({
            "size": size, "cores": cores, "load_before": load, "programs": programs.display().to_string(),
            "producer_mib": rounded(mib("producer")), "worker_mib": rounded(mib("worker")),
        });
        Self { circumstances, rows: BTreeMap::new() }
    }

    /// Those that a run has kept; none where there is no such file.
    pub(crate) fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut document: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        let rows = document.remove("rows").and_then(|rows| serde_json::from_value(rows).ok()).unwrap_or_default();
        Self { circumstances: document.remove("circumstances").unwrap_or_default(), rows }
    }

    /// Adds a row, and prints it.
    pub(crate) fn add(&mut self, row: &str, figures: Figures, before: &Results) {
        let mut kept = Map::new();
        for (figure, value) in figures {
            let last = before.rows.get(row).and_then(|last| last.get(figure)?.as_f64());
            let last = last.map(|last| format!("   before {last:.2}")).unwrap_or_default();
            println!("  {figure:<34}{value:>12.2}{last}");
            kept.insert(figure.to_owned(), rounded(value));
        }
        kept.insert("circumstances".to_owned(), self.circumstances.clone());
        self.rows.insert(row.to_owned(), kept.into());
    }

    pub(crate) fn circumstances(&self) -> &Value {
        &self.circumstances
    }

    /// Prints them as JSON and writes them, with the rows of before that were not measured this time.
    pub(crate) fn keep(self, before: Results, file: &Path) {
        let document = |rows: &BTreeMap<String, Value>| json!({"circumstances": self.circumstances, "rows": rows});
        println!("\n{}", document(&self.rows));
        let mut rows = before.rows;
        rows.extend(self.rows);
        fs::write(file, format!("{:#}\n", json!({"rows": rows}))).expect("the results can be written");
    }
}

/// To a thousandth: what is measured is no more exact.
fn rounded(value: f64) -> Value {
    json!((value * 1e3).round() / 1e3)
}
