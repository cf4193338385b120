// Requests a second of each endpoint, the last two minutes. Chart.js is a global of django-unfold.

const POINTS = 60;
const COLOURS = ["#2f6bff", "#f76b15", "#12a594", "#8e4ec6", "#e5484d", "#0090ff", "#ad7f00"];
let chart = null;

export function addToChart(endpoints) {
  chart ??= newChart();
  const time = new Date().toLocaleTimeString(document.documentElement.lang, { hour12: false });
  push(chart.data.labels, time);
  for (const endpoint of endpoints) push(lineOf(endpoint.slug).data, endpoint.figures?.qps ?? null);
  dress();
  chart.update("none");
}

function push(list, value) {
  list.push(value);
  if (list.length > POINTS) list.shift();
}

function lineOf(slug) {
  const lines = chart.data.datasets;
  let line = lines.find((one) => one.label === slug);
  if (!line) {
    const colour = COLOURS[lines.length % COLOURS.length];
    const before = Array(chart.data.labels.length - 1).fill(null);
    line = { label: slug, data: before, borderColor: colour, backgroundColor: colour };
    lines.push(line);
  }
  return line;
}

function newChart() {
  return new window.Chart(document.getElementById("qps"), {
    type: "line",
    data: { labels: [], datasets: [] },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      elements: { point: { radius: 0 }, line: { borderWidth: 2, tension: 0.25 } },
      scales: {
        x: { grid: { display: false }, ticks: { maxTicksLimit: 6, maxRotation: 0 } },
        y: { beginAtZero: true, suggestedMax: 5 },
      },
      plugins: { legend: { position: "bottom", labels: { boxWidth: 12, boxHeight: 2 } } },
    },
  });
}

// In the colours of the theme, which may change while the page is open.
function dress() {
  const style = getComputedStyle(document.getElementById("live"));
  const text = style.getPropertyValue("--live-subtle").trim();
  const { scales, plugins } = chart.options;
  scales.x.ticks.color = scales.y.ticks.color = plugins.legend.labels.color = text;
  scales.y.grid.color = style.getPropertyValue("--live-line").trim();
}
