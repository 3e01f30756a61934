//! A program of a test that ends with it.

use std::{
    io::Read as _,
    ops::{Deref, DerefMut},
    process::{Child, Command},
};

/// A started program; killed when it drops.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(
            command
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}")),
        )
    }
}

impl Running {
    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let out = self.0.stdout.as_mut().expect("a pipe");
        let (mut line, mut byte) = (String::new(), [0]);
        // A byte at a time: what follows the line is left for the next reader.
        while out.read(&mut byte).expect("readable") > 0 && byte != *b"\n" {
            line.push(char::from(byte[0]));
        }
        line
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
