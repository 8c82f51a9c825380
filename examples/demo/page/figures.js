// The machine's figures: for each type of event, how it changes numbers and lines.

import { Chart } from "./chart.js";
import * as units from "./units.js";

const $ = (id) => document.getElementById(id);
const MOST_CORES_NAMED = 8;

// Cores share out the hues from teal to violet, so that any number of them look like a family.
const hue = (core, cores) => 195 + (cores > 1 ? (core * 115) / (cores - 1) : 0);

const cpuChart = new Chart($("cpu-chart"), {
  colour: (core, cores, style) => `oklch(${style("--line")} 0.13 ${hue(core, cores)})`,
  top: () => 100,
  label: (percent) => `${percent} %`,
});
const memoryChart = new Chart($("memory-chart"), {
  colour: (line, lines, style) => style("--memory"),
  top: (largest) => Math.min(units.doubleUp(largest), memoryTotal),
  label: (bytes) => (bytes ? units.memory(bytes).join(" ") : "0"),
  filled: true,
});
const networkChart = new Chart($("network-chart"), {
  colour: (line, lines, style) => style(["--in", "--out"][line]),
  top: (largest) => units.roundUp(Math.max(largest, 1000)),
  label: (bytes) => (bytes ? units.rate(bytes).join(" ").replace(".0 ", " ") : "0"),
  mirrored: true,
  filled: true,
});
const loadChart = new Chart($("load-chart"), {
  colour: (line, lines, style) => style(["--one", "--five", "--fifteen"][line]),
  top: (largest) => units.roundUp(Math.max(largest, 1)),
  label: (load) => String(load),
});

let memoryTotal = Infinity;

function cpu({ at, cores }) {
  cpuChart.add(at, cores);
  $("cpu").textContent = (cores.reduce((sum, core) => sum + core, 0) / cores.length).toFixed(0);
  if ($("cores").children.length === 0) nameCores(cores.length);
  [...$("cores").querySelectorAll("output")].forEach((output, core) => {
    output.textContent = cores[core].toFixed(0);
  });
}

function nameCores(cores) {
  const named = Math.min(cores, MOST_CORES_NAMED);
  for (let core = 0; core < named; core += 1) {
    const entry = document.createElement("li");
    entry.style.setProperty("--hue", hue(core, cores));
    entry.append(`core ${core} `, document.createElement("output"));
    $("cores").append(entry);
  }
  if (named < cores) $("cores").append(Object.assign(document.createElement("li"), {
    className: "more",
    textContent: `and ${cores - named} more`,
  }));
}

function memory({ at, used, total }) {
  memoryTotal = total;
  memoryChart.add(at, [used]);
  [$("memory").textContent, $("memory-unit").textContent] = units.memory(used);
  const share = ((100 * used) / total).toFixed(0);
  $("memory-total").textContent = `${share} % of ${units.memory(total).join(" ")}`;
}

function network({ at, received, sent }) {
  networkChart.add(at, [received, sent]);
  [$("received").textContent, $("received-unit").textContent] = units.rate(received);
  $("sent").textContent = units.rate(sent).join(" ");
}

function load({ at, average, cores }) {
  loadChart.add(at, average);
  $("load").textContent = average[0].toFixed(2);
  $("load-cores").textContent = cores === 1 ? "on 1 core" : `on ${cores} cores`;
  $("load-5").textContent = average[1].toFixed(2);
  $("load-15").textContent = average[2].toFixed(2);
}

export const figures = { cpu, memory, network, load };
