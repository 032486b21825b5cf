"use strict";
// Draws what the page holds: figures by Plotly, one system at a time, and the animation on a canvas.

const DATA = JSON.parse(document.getElementById("data").textContent);
const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false };
const $ = (id) => document.getElementById(id);

function draw(id, figure) {
  if ($(id)) Plotly.react(id, figure.data, figure.layout, CONFIG);
}

function showSystem(name) {
  for (const button of document.querySelectorAll("[data-system]")) {
    button.setAttribute("aria-pressed", String(button.dataset.system === name));
  }
  for (const [id, figure] of Object.entries(DATA.figures[name])) draw(id, figure);
  stage.show(DATA.animations[name]);
}

// The animation: every physics drawn over the others, from the same start.
const stage = {
  scene: null, frame: 0, playing: false, speed: 1, hidden: new Set(), last: 0,

  show(scene) {
    this.scene = scene;
    this.frame = 0;
    this.hidden.clear();
    $("scrub").max = scene.count - 1;
    const legend = $("legend");
    legend.replaceChildren();
    scene.tracks.forEach((track, index) => {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
      box.addEventListener("change", () => {
        box.checked ? this.hidden.delete(index) : this.hidden.add(index);
        this.paint();
      });
      const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
      swatch.style.background = track.colour;
      label.append(box, swatch, track.name);
      legend.append(label);
    });
    this.paint();
  },

  play(on) {
    this.playing = on;
    $("play").textContent = on ? "Pause" : "Play";
    $("play").setAttribute("aria-pressed", String(on));
    if (on) { this.last = performance.now(); requestAnimationFrame((now) => this.tick(now)); }
  },

  tick(now) {
    if (!this.playing) return;
    // A period or Lyapunov time takes four seconds at normal speed, whatever the system's own unit of time is.
    this.frame += (now - this.last) / 1000 * this.speed * this.scene.scale / (4 * this.scene.dt);
    this.last = now;
    if (this.frame >= this.scene.count - 1) this.frame = 0;
    this.paint();
    requestAnimationFrame((next) => this.tick(next));
  },

  seek(frame) { this.frame = frame; this.paint(); },

  paint() {
    const canvas = $("canvas"), ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const zoom = 0.45 * Math.min(width, height) / this.scene.reach;
    const place = (x, y) => [width / 2 + zoom * x, height / 2 - zoom * y];
    const at = Math.floor(this.frame), share = this.frame - at;
    this.scene.tracks.forEach((track, index) => {
      if (this.hidden.has(index)) return;
      const state = between(track.states, at, share);
      if (state) PAINTERS[this.scene.kind](pen, place, zoom, track, state, at, this.scene, index);
    });
    $("scrub").value = String(at);
    $("clock").textContent = `t = ${(this.frame * this.scene.dt).toFixed(1)}`;
  },
};

function between(states, at, share) {
  const here = states[at], next = states[Math.min(at + 1, states.length - 1)];
  if (!here || here.includes(null)) return null;
  if (!next || next.includes(null)) return here;
  return here.map((value, index) => value + share * (next[index] - value));
}

function stroke(pen, points, colour, width, alpha = 1) {
  if (points.length < 2) return;
  pen.globalAlpha = alpha; pen.strokeStyle = colour; pen.lineWidth = width; pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  points.forEach(([x, y], index) => index ? pen.lineTo(x, y) : pen.moveTo(x, y));
  pen.stroke();
  pen.globalAlpha = 1;
}

function disc(pen, [x, y], radius, track) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  if (track.hollow) { pen.strokeStyle = track.colour; pen.lineWidth = 3; pen.stroke(); }
  else { pen.globalAlpha = 0.85; pen.fillStyle = track.colour; pen.fill(); pen.globalAlpha = 1; }
}

function trail(track, at, map) {
  return track.states.slice(Math.max(0, at - 40), at + 1).filter((x) => x && !x.includes(null)).map(map);
}

const PAINTERS = {
  pendulum(pen, place, zoom, track, [angle], at) {
    const bob = (q) => place(Math.sin(q), -Math.cos(q));
    stroke(pen, trail(track, at, ([q]) => bob(q)), track.colour, 3, 0.25);
    stroke(pen, [place(0, 0), bob(angle)], track.colour, track.hollow ? 5 : 2.5);
    disc(pen, bob(angle), track.hollow ? 15 : 10, track);
  },
  spring(pen, place, zoom, track, [q], at, scene, index) {
    const lane = 0.28 * scene.reach * ((scene.tracks.length - 1) / 2 - index), left = -scene.reach * 1.05;
    const coil = [];
    for (let n = 0; n <= 48; n++) {
      const ease = Math.min(1, 8 * Math.min(n, 48 - n) / 48);
      coil.push(place(left + (q - left) * n / 48, lane + 0.04 * scene.reach * ease * Math.sin(n * Math.PI / 2)));
    }
    stroke(pen, coil, track.colour, 1.5, 0.7);
    // Where the truth is, through all lanes.
    if (track.hollow) stroke(pen, [place(q, -scene.reach), place(q, scene.reach)], track.colour, 1, 0.35);
    disc(pen, place(q, lane), track.hollow ? 13 : 10, track);
  },
  // A point in the plane of the first coordinate and its momentum.
  plane(pen, place, zoom, track, state, at) {
    const map = ([q, p]) => place(q, p);
    stroke(pen, trail(track, at, map), track.colour, track.hollow ? 5 : 2, track.hollow ? 0.22 : 0.55);
    disc(pen, map(state), track.hollow ? 11 : 7, track);
  },
  bodies(pen, place, zoom, track, state, at) {
    for (let body = 0; body < state.length / 4; body++) {
      const map = (x) => place(x[2 * body], x[2 * body + 1]);
      stroke(pen, trail(track, at, map), track.colour, track.hollow ? 5 : 2, track.hollow ? 0.22 : 0.55);
      disc(pen, map(state), track.hollow ? 11 : 7, track);
    }
  },
};

function start() {
  for (const [id, figure] of Object.entries(DATA.overall)) draw(id, figure);
  for (const button of document.querySelectorAll("[data-system]")) {
    button.addEventListener("click", () => showSystem(button.dataset.system));
  }
  const names = Object.keys(DATA.animations);
  if (!names.length) return;
  $("play").addEventListener("click", () => stage.play(!stage.playing));
  $("scrub").addEventListener("input", (event) => { stage.play(false); stage.seek(Number(event.target.value)); });
  $("speed-button").addEventListener("click", () => {
    stage.speed = stage.speed >= 4 ? 0.5 : 2 * stage.speed;
    $("speed-button").textContent = `Speed ${stage.speed} x`;
  });
  window.addEventListener("resize", () => stage.paint());
  showSystem(names[0]);
}

start();
