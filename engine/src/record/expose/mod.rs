//! Writers of what was recorded, one file per format.
