// The P&L curve from the stored snapshots, drawn by uPlot. Numbers here are pixels' business, not money's.

import { useEffect, useRef } from "react";
import uPlot from "uplot";
import type { CurvePoint } from "../../api/types";

const HEIGHT = 190;
const ZONE = "America/New_York";
const INK = { gain: "#35c98a", loss: "#ff6470", line: "#222d3a", text: "#93a1b1" };
const dollarsTick = (value: number): string =>
  `${value < 0 ? "−" : value > 0 ? "+" : ""}$${Math.abs(value).toLocaleString("en-US")}`;

const clock = new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, day: "numeric", month: "short" });
const withSeconds = new Intl.DateTimeFormat("en-GB", {
  timeZone: ZONE,
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const DAY_S = 86_400;
const SHORT_S = 300;

/** Clock times within a day or two, with seconds within minutes; dates beyond. */
function timeTicks(ticks: number[]): string[] {
  const span = (ticks.at(-1) ?? 0) - (ticks[0] ?? 0);
  const format = span > 2 * DAY_S ? day : span < SHORT_S ? withSeconds : clock;
  return ticks.map((seconds) => format.format(seconds * 1000));
}

function dataOf(points: readonly CurvePoint[]): uPlot.AlignedData {
  const drawn = points.filter((point) => point.pnl !== null);
  return [drawn.map((point) => Date.parse(point.timestamp) / 1000), drawn.map((point) => Number(point.pnl))];
}

function optionsFor(width: number, isGain: boolean): uPlot.Options {
  const axis = {
    stroke: INK.text,
    grid: { stroke: INK.line, width: 1 },
    ticks: { show: false },
    font: "11px sans-serif",
  };
  const ink = isGain ? INK.gain : INK.loss;
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), ZONE),
    axes: [
      { ...axis, space: 70, values: (_plot, ticks) => timeTicks(ticks) },
      { ...axis, size: 62, values: (_plot, ticks) => ticks.map(dollarsTick) },
    ],
    scales: { y: { range: (_plot, low, high) => uPlot.rangeNum(Math.min(low, 0), Math.max(high, 0), 0.1, true) } },
    series: [{}, { stroke: ink, width: 2, fill: `${ink}1c`, points: { show: false } }],
    cursor: { y: false, drag: { x: false, y: false } },
  };
}

function usePlot(points: readonly CurvePoint[]) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const data = dataOf(points);
    const last = data[1]?.at(-1) ?? 0;
    const plot = new uPlot(optionsFor(element.clientWidth, Number(last) >= 0), data, element);
    const watch = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [points]);
  return box;
}

function Plot({ points }: { points: readonly CurvePoint[] }) {
  const box = usePlot(points);
  const last = points.at(-1)?.pnl ?? "0";
  return (
    <div
      ref={box}
      className="curve"
      role="img"
      aria-label={`P&L curve, ${points.length} points, now ${last} dollars`}
    />
  );
}

export function PnlCurve({ points, failed }: { points: readonly CurvePoint[] | undefined; failed: boolean }) {
  if (failed) return <p className="curve-empty">The curve could not be loaded.</p>;
  if (!points) return <span className="skeleton" style={{ height: HEIGHT }} />;
  const drawn = points.filter((point) => point.pnl !== null);
  if (drawn.length < 2)
    return <p className="curve-empty">The curve begins with the second price snapshot after the fill.</p>;
  return <Plot points={drawn} />;
}
