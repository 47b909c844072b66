/** Draws the icons into public/icons: an iris of six petals, as SVG and, by the same geometry, as PNG. No library: a PNG is zlib and four chunks. */

import { mkdirSync, writeFileSync } from "node:fs";
import { crc32, deflateSync } from "node:zlib";

const folder = new URL("../public/icons/", import.meta.url);
const [TOP, BOTTOM, PETAL, CORE] = [
  [124, 92, 246],
  [76, 47, 194],
  [255, 255, 255],
  [255, 196, 61],
];
const PETALS = 6;
const SAMPLES = 3; // a side, per pixel

const hex = (rgb) => `#${rgb.map((part) => part.toString(16).padStart(2, "0")).join("")}`;

function svg() {
  const petals = Array.from(
    { length: PETALS },
    (_, n) => `<ellipse cx="256" cy="164" rx="46" ry="84" transform="rotate(${(n * 360) / PETALS} 256 256)"/>`,
  ).join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512"><defs><linearGradient id="g" x2="0" y2="1"><stop stop-color="${hex(TOP)}"/><stop offset="1" stop-color="${hex(BOTTOM)}"/></linearGradient></defs><rect width="512" height="512" rx="116" fill="url(#g)"/><g fill="#fff" fill-opacity=".82">${petals}</g><circle cx="256" cy="256" r="46" fill="${hex(CORE)}"/></svg>\n`;
}

/** Colour and opacity at a point of the 512 square. */
function paint(x, y, round, scale) {
  if (round) {
    const dx = Math.max(Math.abs(x - 256) - 140, 0);
    const dy = Math.max(Math.abs(y - 256) - 140, 0);
    if (Math.hypot(dx, dy) > 116) return [0, 0, 0, 0];
  }
  let colour = TOP.map((part, n) => part + ((BOTTOM[n] - part) * y) / 512);
  const [px, py] = [(x - 256) / scale, (y - 256) / scale];
  for (let n = 0; n < PETALS; n += 1) {
    const angle = (-n * 2 * Math.PI) / PETALS;
    const rx = px * Math.cos(angle) - py * Math.sin(angle);
    const ry = px * Math.sin(angle) + py * Math.cos(angle) + 92;
    if ((rx / 46) ** 2 + (ry / 84) ** 2 <= 1) colour = colour.map((part, at) => part + (PETAL[at] - part) * 0.82);
  }
  if (Math.hypot(px, py) <= 46) colour = CORE;
  return [...colour, 255];
}

function png(size, round, scale) {
  const rows = Buffer.alloc(size * (size * 4 + 1));
  const step = 512 / size;
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const sum = [0, 0, 0, 0];
      for (let n = 0; n < SAMPLES * SAMPLES; n += 1) {
        const sx = (x + ((n % SAMPLES) + 0.5) / SAMPLES) * step;
        const sy = (y + (Math.floor(n / SAMPLES) + 0.5) / SAMPLES) * step;
        const [r, g, b, a] = paint(sx, sy, round, scale);
        sum[0] += r * a;
        sum[1] += g * a;
        sum[2] += b * a;
        sum[3] += a;
      }
      const at = y * (size * 4 + 1) + 1 + x * 4;
      for (let n = 0; n < 3; n += 1) rows[at + n] = sum[3] ? Math.round(sum[n] / sum[3]) : 0;
      rows[at + 3] = Math.round(sum[3] / SAMPLES ** 2);
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  head.set([8, 6, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

mkdirSync(folder, { recursive: true });
writeFileSync(new URL("icon.svg", folder), svg());
writeFileSync(new URL("icon-192.png", folder), png(192, true, 1));
writeFileSync(new URL("icon-512.png", folder), png(512, true, 1));
writeFileSync(new URL("maskable-512.png", folder), png(512, false, 0.8));
