//! What the classes of a picture look like, in light and in dark.
//!
//! The colours of series are those of Okabe and Ito, which people with any common colour blindness
//! tell apart, a shade darker on white and lighter on black; from the fifth on they are dashed as
//! well. Heat is one hue from paper to its opposite, so that more is always further from the
//! background. The style travels inside each picture: a file needs nothing beside it.

/// Series before colours repeat.
const COLOURS: usize = 6;
/// Steps of heat, from few to many.
pub(crate) const HEAT_STEPS: usize = 9;
/// Size of labels in pixels.
pub(crate) const LABEL: f64 = 12.0;

/// The class of the series with this index.
pub(crate) fn series(index: usize) -> String {
    let dash = match index / COLOURS {
        0 => "",
        1 => " dash",
        _ => " dots",
    };
    format!("s{}{dash}", index % COLOURS)
}

/// The class of a step of heat.
pub(crate) fn heat(step: usize) -> String {
    format!("h{}", step.min(HEAT_STEPS - 1))
}

/// The style sheet, made for many copies on one page: every rule begins with `.plot`.
pub(crate) const STYLE: &str = "\
.plot{--paper:#fff;--ink:#1a1f26;--muted:#5b6572;--grid:#e6e9ed;--axis:#a3acb7;--mark:#8a3ffc;\
--s0:#0068a8;--s1:#d1550a;--s2:#00875f;--s3:#b4508c;--s4:#b07a00;--s5:#2f9fd8;\
--h0:#e4eff9;--h1:#c9e0f3;--h2:#a3cbe9;--h3:#74b0dc;--h4:#4893cc;--h5:#2875b5;--h6:#135796;\
--h7:#093b6e;--h8:#041f40;\
font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,\"Noto Sans\",\
\"DejaVu Sans\",sans-serif;font-size:12px;font-variant-numeric:tabular-nums;max-width:100%;\
height:auto}\
@media(prefers-color-scheme:dark){.plot{--paper:#12161b;--ink:#e8ebef;--muted:#9aa5b1;\
--grid:#262d35;--axis:#59636f;--mark:#c7a2ff;\
--s0:#5db4ec;--s1:#ff9457;--s2:#3fcf9e;--s3:#e797c6;--s4:#eec04e;--s5:#a9dcf7;\
--h0:#14273a;--h1:#153552;--h2:#15486f;--h3:#185e92;--h4:#2678b4;--h5:#4a97d0;--h6:#7cb8e5;\
--h7:#b3d7f3;--h8:#eef7ff}}\
.plot text{fill:var(--ink)}.plot .title{font-size:15px;font-weight:600}\
.plot .note,.plot .tick,.plot .axis-title{fill:var(--muted)}\
.plot .value{font-weight:600}\
.plot .halo{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}\
.plot .event-label{fill:var(--mark)}\
.plot .paper{fill:var(--paper)}\
.plot .grid,.plot .grid-minor{stroke:var(--grid);shape-rendering:crispEdges}\
.plot .grid-minor{opacity:.5}\
.plot .axis{stroke:var(--axis);shape-rendering:crispEdges}\
.plot .reference{stroke:var(--ink);stroke-width:1;stroke-dasharray:2 3}\
.plot .event{stroke:var(--mark);stroke-width:1.2;stroke-dasharray:4 3}\
.plot polyline{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\
.plot .thin{stroke-width:1.4}\
.plot .whisker{stroke-width:2;stroke-linecap:round}\
.plot .band{stroke:none;opacity:.16}\
.plot .dot{stroke:var(--paper);stroke-width:1.5}\
.plot .dash{stroke-dasharray:7 4}.plot .dots{stroke-dasharray:2 4}\
.plot .s0{stroke:var(--s0)}.plot .s1{stroke:var(--s1)}.plot .s2{stroke:var(--s2)}\
.plot .s3{stroke:var(--s3)}.plot .s4{stroke:var(--s4)}.plot .s5{stroke:var(--s5)}\
.plot .f.s0{fill:var(--s0)}.plot .f.s1{fill:var(--s1)}.plot .f.s2{fill:var(--s2)}\
.plot .f.s3{fill:var(--s3)}.plot .f.s4{fill:var(--s4)}.plot .f.s5{fill:var(--s5)}\
.plot .f.dot{stroke:var(--paper)}.plot .f.band{stroke:none}\
.plot .over{stroke:var(--ink);stroke-width:1.6}.plot .over-halo{stroke:var(--paper);\
stroke-width:4;opacity:.75}\
.plot .heat{shape-rendering:crispEdges}\
.plot .h0{fill:var(--h0)}.plot .h1{fill:var(--h1)}.plot .h2{fill:var(--h2)}\
.plot .h3{fill:var(--h3)}.plot .h4{fill:var(--h4)}.plot .h5{fill:var(--h5)}\
.plot .h6{fill:var(--h6)}.plot .h7{fill:var(--h7)}.plot .h8{fill:var(--h8)}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_rule_and_every_colour_two_values() {
        for index in 0..COLOURS {
            assert_eq!(STYLE.matches(&format!("--s{index}:")).count(), 2);
            assert!(STYLE.contains(&format!(".plot .{}{{", series(index))));
        }
        for step in 0..HEAT_STEPS {
            assert_eq!(STYLE.matches(&format!("--h{step}:")).count(), 2);
            assert!(STYLE.contains(&format!(".plot .{}{{", heat(step))));
        }
        assert_ne!(series(1), series(1 + COLOURS));
    }
}
