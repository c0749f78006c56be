//! Imports run one way: between the crates as docs/ARCHITECTURE.md says, and in each crate between modules that stand side by side.
//!
//! A module and the modules inside it are one subject and may know each other. Two modules side by side, and whatever is inside
//! them, must not: of any two, one is below the other. What stands in unit tests does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn crates_depend_on_each_other_as_the_architecture_page_says() {
    let allowed = allowed_dependencies();
    let names: BTreeMap<String, &String> = allowed.keys().map(|folder| (package(folder), folder)).collect();
    let mut wrong = Vec::new();
    for folder in members() {
        let Some(allowed) = allowed.get(&folder) else {
            wrong.push(format!("{folder}: the table in docs/ARCHITECTURE.md does not have it"));
            continue;
        };
        for dependency in dependencies(&folder).iter().filter_map(|name| names.get(name)) {
            if !allowed.contains(*dependency) {
                wrong.push(format!("{folder} depends on {dependency}, which docs/ARCHITECTURE.md does not allow"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_side_by_side_import_each_other_one_way() {
    let mut wrong = Vec::new();
    for folder in members() {
        for (parent, ring) in rings(&imports(&root().join(&folder).join("src"))) {
            wrong.push(format!("{folder}, in {}: {ring}", if parent.is_empty() { "src" } else { &parent }));
        }
    }
    assert!(wrong.is_empty(), "modules that import each other in a ring:\n{}", wrong.join("\n"));
}

#[test]
fn the_workers_modules_import_each_other_in_the_order_that_the_architecture_page_gives() {
    let page = text(&root().join("docs/ARCHITECTURE.md"));
    let line = page.lines().find(|line| line.starts_with("`main`, ") && line.contains(" > ")).expect("the order");
    let groups = line.split(" > ").enumerate();
    let places: BTreeMap<&str, usize> =
        groups.flat_map(|(place, group)| group.split('`').skip(1).step_by(2).map(move |name| (name, place))).collect();
    let place = |module: &str| *places.get(module).unwrap_or_else(|| panic!("docs/ARCHITECTURE.md has no {module}"));
    let mut seen = 0;
    for (from, to) in imports(&root().join("worker/src")) {
        let (Some(from), Some(to)) = (from.first(), to.first()) else { continue };
        if from != to {
            assert!(place(from) < place(to), "{from} imports {to}, against the order in docs/ARCHITECTURE.md");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_ring_is_found_at_whatever_depth() {
    let modules = [module("a::x"), module("a::y"), module("b"), module("a"), module("c")].into();
    let edges = |text: &str, from: &str| {
        let targets = targets(text, &module(from), &modules);
        targets.into_iter().map(|to| (module(from), to)).collect::<Vec<_>>()
    };
    let through_braces = edges("use crate::{b::Thing, c};", "a::x");
    let back = edges("// crate::c\nfn f() -> crate::a::y::Y {}\n#[cfg(test)] mod tests { use crate::c; }", "b");
    let up = edges("use super::super::a;", "a::y");
    let imports: BTreeSet<_> = through_braces.into_iter().chain(back).chain(up).collect();
    let found = rings(&imports);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "");
    assert!(found[0].1.contains("a -> b") && found[0].1.contains("b -> a"), "{found:?}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's root").to_owned()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders of the workspace's crates.
fn members() -> Vec<String> {
    let manifest = text(&root().join("Cargo.toml"));
    let list = manifest.lines().find_map(|line| line.strip_prefix("members = ")).expect("the workspace's members");
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The name of the package in a folder.
fn package(folder: &str) -> String {
    let manifest = text(&root().join(folder).join("Cargo.toml"));
    let name = manifest.lines().find_map(|line| line.strip_prefix("name = ")).expect("a package has a name");
    name.trim_matches('"').to_owned()
}

/// What a crate depends on when it is built without its tests.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest = text(&root().join(folder).join("Cargo.toml"));
    let section = manifest.split("\n[").find_map(|section| section.strip_prefix("dependencies]"));
    let lines = section.unwrap_or_default().lines();
    lines.filter_map(|line| line.split_once(['.', ' ', '='])).map(|(name, _)| name.to_owned()).collect()
}

/// The table of crates in docs/ARCHITECTURE.md: a folder, and in its last column the folders it may depend on.
fn allowed_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let page = text(&root().join("docs/ARCHITECTURE.md"));
    let folders = members();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("/` |"));
    let rows = rows.filter(|(folder, _)| folders.iter().any(|known| known == folder));
    rows.map(|(folder, rest)| {
        let may_know = rest.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        (folder.to_owned(), may_know.split('`').skip(1).step_by(2).map(str::to_owned).collect())
    })
    .collect()
}

/// A module, by its path from the crate's root.
type Module = Vec<String>;

fn module(path: &str) -> Module {
    path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Which module imports which, in one crate.
fn imports(source: &Path) -> BTreeSet<(Module, Module)> {
    let mut files = Vec::new();
    collect(source, &mut Vec::new(), &mut files);
    let modules: BTreeSet<Module> = files.iter().map(|(module, _)| module.clone()).collect();
    let edges = files
        .iter()
        .flat_map(|(from, file)| targets(&text(file), from, &modules).into_iter().map(move |to| (from.clone(), to)));
    edges.collect()
}

/// Every source file with the module it is.
fn collect(folder: &Path, within: &mut Module, files: &mut Vec<(Module, PathBuf)>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a folder's entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a file's name").to_owned();
        if path.is_dir() {
            within.push(name);
            collect(&path, within, files);
            within.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests" {
            let own = !["lib", "main", "mod"].contains(&name.as_str());
            files.push((within.iter().cloned().chain(own.then_some(name)).collect(), path));
        }
    }
}

/// The modules that a module's text names by a path from the crate's root, from itself or from the module it is in.
fn targets(text: &str, from: &Module, modules: &BTreeSet<Module>) -> BTreeSet<Module> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String =
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut paths = Vec::new();
    let mut before = ' ';
    for (place, char) in code.char_indices() {
        let begins = !before.is_alphanumeric() && !"_:$".contains(before);
        let tail = &code[place..];
        if begins && ["crate::", "self::", "super::"].iter().any(|root| tail.starts_with(root)) {
            read_paths(tail, Vec::new(), &mut paths);
        }
        before = char;
    }
    let named = paths.into_iter().map(|path| {
        let mut module = from.clone();
        for part in path {
            match part.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => {
                    module.pop();
                }
                _ => module.push(part),
            }
        }
        while !module.is_empty() && !modules.contains(&module) {
            module.pop();
        }
        module
    });
    named.collect()
}

/// Reads `a::b`, or `a::{b, c::d}` as two paths.
fn read_paths(text: &str, mut path: Vec<String>, paths: &mut Vec<Vec<String>>) {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let (mut depth, mut begin) = (0, 0);
        for (place, char) in group.char_indices() {
            match char {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    read_paths(&group[begin..place], path.clone(), paths);
                    begin = place + 1;
                    if char == '}' {
                        return;
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let end = text.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(text.len());
    if end > 0 {
        path.push(text[..end].to_owned());
    }
    match text[end..].strip_prefix("::") {
        Some(rest) => read_paths(rest, path, paths),
        None => paths.push(path),
    }
}

/// The rings among modules side by side: the module they stand in, and the imports that make the ring.
fn rings(imports: &BTreeSet<(Module, Module)>) -> Vec<(String, String)> {
    let mut levels: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (from, to) in imports {
        let shared = from.iter().zip(to).take_while(|(one, other)| one == other).count();
        if let (Some(one), Some(other)) = (from.get(shared), to.get(shared)) {
            let level = levels.entry(from[..shared].to_vec()).or_default();
            level.entry(one.clone()).or_default().insert(other.clone());
        }
    }
    let mut rings = Vec::new();
    for (parent, level) in levels {
        // An import is part of a ring if its end leads back to its beginning.
        let edges = level.iter().flat_map(|(from, ends)| ends.iter().map(move |to| (from, to)));
        let ring: Vec<String> = edges
            .filter(|(from, to)| reaches(&level, to, from, &mut BTreeSet::new()))
            .map(|(from, to)| format!("{from} -> {to}"))
            .collect();
        if !ring.is_empty() {
            rings.push((parent.join("::"), ring.join(", ")));
        }
    }
    rings
}

fn reaches<'a>(
    level: &'a BTreeMap<String, BTreeSet<String>>,
    from: &'a str,
    to: &str,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    from == to
        || (seen.insert(from)
            && level.get(from).is_some_and(|ends| ends.iter().any(|end| reaches(level, end, to, seen))))
}
