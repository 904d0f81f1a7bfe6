// As hpo/reports/text.py writes numbers: 0.9889, 53212, 3.6e-13.
function number(value, digits) {
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const power = Number(exponent);
  const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (value === 0) return "0";
  if (power > -5 && power < 7) return trimmed(value.toFixed(Math.max(0, digits - 1 - power)));
  return trimmed(mantissa) + "e" + power;
}
