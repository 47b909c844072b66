//! Every input that is kept in corpus/ is run by plain `cargo test`.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The targets share what stands for the API (src/life.rs): one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn no_kept_input_finds_anything() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, run) in iris_fuzz::TARGETS {
        let files = fs::read_dir(corpus.join(name)).unwrap();
        let mut count = 0;
        for file in files {
            let path = file.unwrap().path();
            eprintln!("{}", path.display()); // shown when it fails
            run(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 0, "no inputs for {name}");
    }
}

#[test]
fn short_and_plain_inputs_find_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (_, run) in iris_fuzz::TARGETS {
        run(&[]);
        for byte in 0..=255 {
            for length in [1, 2, 3, 7, 64, 300] {
                run(&vec![byte; length]);
            }
        }
    }
}
