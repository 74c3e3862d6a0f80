//! Writes the generated documents under the folder given, `docs` by default. `cargo xtask schemas` calls it.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "docs".to_owned()));
    for (path, document) in orrery_contracts::schema::documents() {
        let file = root.join(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, format!("{document:#}\n"))?;
    }
    std::fs::write(root.join("problems.md"), orrery_contracts::schema::problems_page())
}
