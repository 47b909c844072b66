// The client's side of a conversation in any JavaScript that has WebSocket: a browser, Node.
// It knows no protobuf: it sends the frames it is given and hands back what it got, in base64.

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function textOf(bytes) {
  let letters = "";
  for (const byte of new Uint8Array(bytes)) letters += String.fromCharCode(byte);
  return btoa(letters);
}

function talk(plan) {
  return new Promise((resolve) => {
    const messages = [];
    const ws = new WebSocket(plan.url, plan.offered);
    ws.binaryType = "arraybuffer";
    ws.onopen = () => ws.send(bytesOf(plan.frames[0]));
    ws.onmessage = (event) => {
      messages.push(textOf(event.data));
      if (messages.length === 1) plan.frames.slice(1).forEach((frame) => ws.send(bytesOf(frame)));
      if (messages.length === plan.close_after) ws.close(plan.code, "bye");
    };
    ws.onclose = (event) => resolve({ protocol: ws.protocol, messages, code: event.code, clean: event.wasClean });
  });
}
