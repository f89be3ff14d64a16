//! temporary
#![allow(missing_docs, clippy::all)]
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}
pub fn sqrt(x: f64) -> f64 {
    libm::sqrt(x)
}
pub fn floor(x: f64) -> f64 {
    libm::floor(x)
}
pub fn max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a > b {
        a
    } else {
        b
    }
}
pub fn min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a < b {
        a
    } else {
        b
    }
}
pub fn clamp(x: f64, lo: f64, hi: f64) -> f64 {
    max(lo, min(x, hi))
}
pub fn decay(l: f64, dt: f64) -> f64 {
    exp(-l * dt)
}
pub fn ewma_weight(n: f64, c: f64) -> f64 {
    1.0 - exp(c * libm::log1p(-1.0 / n))
}
pub fn log2_fixed(n: u64) -> u32 {
    if n < 2 {
        return 0;
    }
    let e = 63 - n.leading_zeros();
    let m = ((n << (63 - e)) << 1) >> 48;
    let m = m as u32; // 16 bit frac
    let f = m;
    let c = ((f as u64 * (65536 - f as u64)) as u64 * 22528 >> 32) as u32;
    (e << 9) + ((f + c) >> 7)
}
