// The moving averages of a curve. A missing point (null) stays missing and counts for nothing.
function cumulative(values) {
  let average = 0, count = 0;
  return values.map((value) => {
    if (value === null) return null;
    average = (value + count * average) / (count + 1);
    count += 1;
    return average;
  });
}

function simple(values, k) {
  return values.map((value, end) => {
    if (value === null) return null;
    const window = values.slice(Math.max(0, end + 1 - k), end + 1).filter((x) => x !== null);
    return window.reduce((sum, x) => sum + x, 0) / window.length;
  });
}

function exponential(values, a) {
  let average = null;
  return values.map((value) => {
    if (value === null) return null;
    average = average === null ? value : a * value + (1 - a) * average;
    return average;
  });
}
