"use strict";
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dataOf = (figure) => JSON.parse(figure.querySelector("script").textContent);
  const short = (value) => String(+(+value).toPrecision(4));

  // ---- Charts

  const kColours = 7;
  const kPoints = ["circle", "rect", "triangle", "rectRot", "star", "crossRot", "rectRounded"];
  let charts = [];

  function axis(title) {
    return {title: {display: true, text: title, color: css("--faint")},
            ticks: {color: css("--faint")}, grid: {color: css("--line")}};
  }

  function drawChart(figure) {
    const spec = dataOf(figure);
    const bars = spec.kind === "bar";
    const datasets = spec.series.map((series, i) => {
      const colour = css("--s" + i % kColours);
      return {label: series.name, data: bars ? series.points.map((p) => p.y) : series.points,
              borderColor: colour, backgroundColor: colour, pointStyle: kPoints[i % kPoints.length],
              pointRadius: spec.kind === "scatter" ? 6 : 3, borderWidth: bars ? 0 : 2, tension: 0};
    });
    const tooltip = {callbacks: {label: (item) => {
      const point = spec.series[item.datasetIndex].points[item.dataIndex];
      const x = bars ? "" : short(point.x) + ", ";
      return item.dataset.label + ": " + x + short(point.y) + (point.note ? " (" + point.note + ")" : "");
    }}};
    const x = axis(spec.x);
    if (!bars) x.type = "linear";
    charts.push(new Chart(figure.querySelector("canvas"), {
      type: spec.kind,
      data: {labels: bars ? spec.labels : undefined, datasets},
      options: {animation: false, maintainAspectRatio: false, scales: {x, y: axis(spec.y)},
                plugins: {legend: {labels: {color: css("--ink"), usePointStyle: true}}, tooltip}},
    }));
  }

  // ---- Heatmaps

  function rgb(hex) {
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  }

  function palette() {
    const stops = ["--cold", "--warm", "--hot"].map((name) => rgb(css(name)));
    return Array.from({length: 256}, (_, i) => {
      const at = i / 127.5, from = stops[Math.min(1, Math.floor(at))], to = stops[Math.min(1, Math.floor(at)) + 1];
      const share = at - Math.min(1, Math.floor(at));
      return from.map((c, k) => Math.round(c + (to[k] - c) * share));
    });
  }

  function layoutOf(canvas, spec, context) {
    const left = Math.min(220, 8 + Math.max(...spec.rows.map((r) => context.measureText(r).width)));
    const width = canvas.parentElement.clientWidth;
    const cellWidth = Math.min(110, (width - left) / spec.columns.length);
    const cellHeight = spec.rows.length <= 32 ? 22 : Math.max(3, Math.floor(700 / spec.rows.length));
    return {left, width, cellWidth, cellHeight, height: cellHeight * spec.rows.length + 20};
  }

  // Every n-th label, so that none covers the next.
  function stride(room, need) {
    return Math.max(1, Math.ceil(need / room));
  }

  function drawCells(context, spec, frame, box) {
    const colours = palette();
    const showNumbers = box.cellWidth >= 40 && box.cellHeight >= 18;
    for (let r = 0; r < spec.rows.length; ++r) {
      for (let c = 0; c < spec.columns.length; ++c) {
        const at = r * spec.columns.length + c;
        const level = parseInt(frame.cells.substr(2 * at, 2), 16);
        const colour = colours[level];
        const x = box.left + c * box.cellWidth, y = r * box.cellHeight;
        context.fillStyle = "rgb(" + colour + ")";
        context.fillRect(x, y, Math.ceil(box.cellWidth), box.cellHeight);
        const bright = colour[0] * 0.3 + colour[1] * 0.6 + colour[2] * 0.1 > 140;
        if (frame.marks[at] === "1") {
          context.fillStyle = css("--mark");
          context.beginPath();
          context.arc(x + box.cellWidth / 2, y + box.cellHeight / 2,
                      Math.max(1.5, Math.min(4, box.cellWidth / 2.5, box.cellHeight / 3)), 0, 7);
          context.fill();
        } else if (showNumbers) {
          context.fillStyle = bright ? "#111" : "#fff";
          context.textAlign = "center";
          context.fillText(short(valueOf(spec, level).toPrecision(3)), x + box.cellWidth / 2, y + box.cellHeight / 2);
        }
      }
    }
  }

  function drawLabels(context, spec, box) {
    context.fillStyle = css("--faint");
    context.textAlign = "right";
    const rows = stride(box.cellHeight, 13);
    for (let r = 0; r < spec.rows.length; r += rows) {
      context.fillText(spec.rows[r], box.left - 6, (r + 0.5) * box.cellHeight, box.left - 8);
    }
    context.textAlign = "center";
    const widest = Math.max(...spec.columns.map((c) => context.measureText(c).width)) + 8;
    const columns = stride(box.cellWidth, Math.min(widest, 120));
    for (let c = 0; c < spec.columns.length; c += columns) {
      context.fillText(spec.columns[c], box.left + (c + 0.5) * box.cellWidth, box.height - 8, columns * box.cellWidth);
    }
  }

  function valueOf(spec, level) {
    return spec.low + level / 255 * (spec.high - spec.low);
  }

  function drawHeatmap(figure, index) {
    const spec = dataOf(figure), canvas = figure.querySelector("canvas"), output = figure.querySelector("output");
    const frame = spec.frames[index], context = canvas.getContext("2d"), ratio = window.devicePixelRatio || 1;
    context.font = "12px system-ui, sans-serif";
    const box = layoutOf(canvas, spec, context);
    canvas.width = box.width * ratio;
    canvas.height = box.height * ratio;
    canvas.style.height = box.height + "px";
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    drawCells(context, spec, frame, box);
    drawLabels(context, spec, box);
    const name = figure.querySelector("label span");
    if (name) name.textContent = frame.name;
    const rest = spec.value + ": " + short(spec.low) + " (faintest) to " + short(spec.high);
    output.textContent = rest;
    canvas.onmouseleave = () => { output.textContent = rest; };
    canvas.onmousemove = (event) => {
      const r = Math.floor(event.offsetY / box.cellHeight), c = Math.floor((event.offsetX - box.left) / box.cellWidth);
      if (!(spec.rows[r] !== undefined && spec.columns[c] !== undefined)) return;
      const level = parseInt(frame.cells.substr(2 * (r * spec.columns.length + c), 2), 16);
      output.textContent = spec.row + " " + spec.rows[r] + ", " + spec.column + " " + spec.columns[c] + ": " +
                           short(valueOf(spec, level).toPrecision(3)) + " " + spec.value;
    };
  }

  function indexOf(figure) {
    const slider = figure.querySelector("input");
    return slider ? +slider.value : 0;
  }

  function drawAll() {
    charts.forEach((chart) => chart.destroy());
    charts = [];
    document.querySelectorAll("figure.chart").forEach(drawChart);
    document.querySelectorAll("figure.heatmap").forEach((figure) => drawHeatmap(figure, indexOf(figure)));
  }

  document.querySelectorAll("figure.heatmap input").forEach((slider) => {
    const figure = slider.closest("figure");
    slider.addEventListener("input", () => drawHeatmap(figure, indexOf(figure)));
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  window.addEventListener("resize", () => {
    document.querySelectorAll("figure.heatmap").forEach((figure) => drawHeatmap(figure, indexOf(figure)));
  });
  drawAll();
})();
