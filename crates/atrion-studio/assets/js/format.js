// Numbers for people: short, with units, the same width where they change.

const MINUS = "\u2212";
const NONE = "\u2013";

const sign = (text) => text.replace("-", MINUS);

/** A number with at most `digits` significant digits and no exponent. */
export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 1e9) return sign(`${short(value / 1e9)}\u2009G`);
  if (size >= 1e6) return sign(`${short(value / 1e6)}\u2009M`);
  if (size >= 1e4) return sign(`${short(value / 1e3)}\u2009k`);
  if (size >= 1000) return sign(Math.round(value).toString());
  if (size === 0) return "0";
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return sign(value.toFixed(Math.min(places, digits)));
}

const short = (value) => value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);

/** A number as somebody chose it: up to six digits, none of them for show. */
export function plain(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  return sign(String(Number(value.toPrecision(6))));
}

/** A count with thin spaces between the thousands. */
export function count(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** Ohms; what reaches the wall has no number any more. */
export function ohms(value, wall = Infinity) {
  if (value !== null && value >= wall) return "wall";
  return number(value);
}

/** A share of one as percent. */
export function percent(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const scaled = value * 100;
  if (scaled === 0) return "0\u2009%";
  if (scaled < 0.1) return "<\u20090.1\u2009%";
  return `${scaled >= 99.95 || scaled >= 10 ? scaled.toFixed(0) : scaled.toFixed(1)}\u2009%`;
}

/** A length of time, given in seconds. */
export function seconds(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size === 0) return "0\u2009s";
  if (size < 0.001) return `${number(value * 1e6)}\u2009\u00b5s`;
  if (size < 1) return `${number(value * 1e3)}\u2009ms`;
  if (size < 100) return `${number(value)}\u2009s`;
  const whole = Math.round(size);
  const [d, h, m, s] = [
    Math.floor(whole / 86400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  if (d > 0) return `${d}\u2009d ${h}\u2009h`;
  if (h > 0) return `${h}\u2009h ${m}\u2009min`;
  return `${m}\u2009min ${s}\u2009s`;
}

const two = (value) => value.toString().padStart(2, "0");

/** Time of day, of milliseconds since 1970. */
export function clock(ms) {
  const t = new Date(ms);
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
}

/** Date and time of day, of milliseconds since 1970. */
export function dateTime(ms) {
  const t = new Date(ms);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${clock(ms)}`;
}

/** Date only. */
export function date(ms) {
  return dateTime(ms).slice(0, 10);
}
