// Special functions in float64, for references: accurate to some 1e-14, and slow.

/** The error function, by its Taylor series for small x and by the continued fraction of erfc for large. */
export function erf(x: number): number {
  if (Number.isNaN(x)) return NaN;
  return Math.abs(x) < 2 ? erfSeries(x) : Math.sign(x) * (1 - erfcFraction(Math.abs(x)));
}

export function erfc(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x >= 2) return erfcFraction(x);
  return 1 - erf(x);
}

function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

function erfcFraction(x: number, exponent = -x * x): number {
  let tail = 0;
  for (let k = 200; k >= 1; k--) tail = k / 2 / (x + tail);
  return Math.exp(exponent) / Math.sqrt(Math.PI) / (x + tail);
}

/** e^(x²) erfc x. */
export function erfcx(x: number): number {
  return x >= 2 ? erfcFraction(x, 0) : Math.exp(x * x) * erfc(x);
}

/** By Newton's method on erf. */
export function erfinv(y: number): number {
  if (!(Math.abs(y) <= 1)) return NaN;
  if (Math.abs(y) === 1) return y * Infinity;
  let x = 0;
  for (let i = 0; i < 100; i++) x -= (erf(x) - y) / ((2 / Math.sqrt(Math.PI)) * Math.exp(-x * x));
  return x;
}

const bernoulliNumbers = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6];
const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));

/** ln |Γ(x)|, by Stirling's series after moving x up, and by reflection below 0. */
export function lgamma(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (Math.abs(x) === Infinity || (x <= 0 && Number.isInteger(x))) return Infinity;
  if (x < 0.5) return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - lgamma(1 - x);
  let shift = 0;
  for (; x < 15; x++) shift += Math.log(x);
  let series = (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI);
  bernoulliNumbers.forEach((b, k) => (series += b / ((2 * k + 2) * (2 * k + 1) * x ** (2 * k + 1))));
  return series - shift;
}

/** The derivative of order n of digamma; digamma itself for n = 0. By the asymptotic series after moving x up. */
export function polygamma(n: number, x: number): number {
  const sign = n % 2 === 0 ? -1 : 1;
  let sum = 0;
  for (; x < 20; x++) sum += n === 0 ? -1 / x : (sign * factorial(n)) / x ** (n + 1);
  if (n === 0) {
    sum += Math.log(x) - 1 / (2 * x);
    bernoulliNumbers.forEach((b, k) => (sum -= b / ((2 * k + 2) * x ** (2 * k + 2))));
    return sum;
  }
  let series = factorial(n - 1) / x ** n + factorial(n) / (2 * x ** (n + 1));
  bernoulliNumbers.forEach((b, k) => {
    const order = 2 * k + 2;
    series += (b * factorial(order + n - 1)) / (factorial(order) * x ** (order + n));
  });
  return sum + sign * series;
}

/** The modified Bessel function of the first kind, by its power series. */
export function besselI(order: number, x: number): number {
  let term = (x / 2) ** order / factorial(order);
  let sum = term;
  for (let k = 1; k < 200; k++) sum += term *= (x * x) / (4 * k * (k + order));
  return sum;
}

/** The share of the gamma distribution of shape a below x, by the power series. */
export function gammaBelow(a: number, x: number): number {
  let term = Math.exp(a * Math.log(x) - x - lgamma(a + 1));
  let sum = term;
  for (let k = 1; k < 500; k++) sum += term *= x / (a + k);
  return sum;
}

/** Hurwitz' zeta function of a whole s, which is a polygamma but for a factor. */
export const zeta = (s: number, q: number): number => ((-1) ** s * polygamma(s - 1, q)) / factorial(s - 1);
