/** Our own small set of emoji. */

import type { Key } from "../i18n/index.js";

const split = (text: string) => text.split(" ");

/** Offered first for reactions. */
export const QUICK = split("👍 ❤️ 😂 😮 😢 🙏");

export const EMOJI: readonly { readonly title: Key; readonly emoji: readonly string[] }[] = [
  {
    title: "emoji.smileys",
    emoji: split(
      "😀 😃 😄 😁 😆 😅 😂 🤣 🙂 🙃 😉 😊 😇 🥰 😍 🤩 😘 😗 😋 😛 😜 🤪 🤗 🤭 🤫 🤔 🤐 😐 😶 😏 😒 🙄 😬 😌 😔 😪 😴 😷 🤒 🤧 🥵 🥶 😵 🤯 🤠 🥳 😎 🤓 😕 😟 🙁 😮 😲 😳 🥺 😦 😨 😰 😥 😢 😭 😱 😖 😞 😩 😫 🥱 😤 😡 🤬 😈 💀 💩 🤡 👻 👽 🤖 😺 😸 😹 😻 🙈 🙉 🙊",
    ),
  },
  {
    title: "emoji.hands",
    emoji: split(
      "👋 🤚 🖐️ ✋ 👌 🤏 ✌️ 🤞 🤟 🤘 🤙 👈 👉 👆 👇 ☝️ 👍 👎 ✊ 👊 👏 🙌 👐 🤝 🙏 ✍️ 💪 👀 👶 👧 👦 👩 👨 👵 👴 🤷 🤦 🙋 💃 🕺 ❤️ 🧡 💛 💚 💙 💜 🖤 🤍 💔 💕 💖 💯 💥 💫 💬 💤",
    ),
  },
  {
    title: "emoji.life",
    emoji: split(
      "🐶 🐱 🐭 🐰 🦊 🐻 🐼 🐨 🦁 🐮 🐷 🐸 🐵 🐔 🐧 🐦 🦆 🦉 🐝 🦋 🐢 🐙 🐬 🐳 🐘 🦒 🐑 🌵 🌲 🌴 🌱 🍀 🌸 🌹 🌻 ☀️ 🌙 ⭐ 🌈 ☁️ ⛄ 🔥 💧 🌊 🍏 🍎 🍌 🍉 🍇 🍓 🍒 🥑 🍅 🌽 🥕 🍞 🧀 🍳 🍔 🍟 🍕 🌮 🍜 🍣 🍦 🍩 🍪 🎂 🍫 🍿 ☕ 🍵 🍺 🍷 🥂",
    ),
  },
  {
    title: "emoji.things",
    emoji: split(
      "⚽ 🏀 🎾 🏆 🎯 🎮 🎲 🎸 🎹 🎤 🎧 🎬 🎨 🚗 🚌 🚲 🚂 ✈️ 🚀 ⛵ 🏠 🏢 ⛺ 🏖️ ⌚ 📱 💻 📷 🔋 💡 🔑 🔒 🔨 🧰 🎁 🎈 🎉 🎊 ✉️ 📦 📅 📌 📎 ✂️ 📚 ✏️ 🔍 💊 💰 🛒 ⏰ ✅ ❌ ❗ ❓ ⚠️ 🚫 ➕ ♻️ 🔔 🎵 🏁",
    ),
  },
];
