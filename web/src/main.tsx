/** Builds the client from its parts and shows it. */

import { browserPlatform, IrisClient } from "@iris-im/sdk";
import { effect } from "@preact/signals-core";
import { render } from "preact";
import { direction, language } from "./i18n/index.js";
import { AppModel } from "./models/app.js";
import { browserPorts } from "./platform/browser.js";
import { registerWorker } from "./platform/worker.js";
import "./styles/index.css";
import { App } from "./views/App.js";

const ports = browserPorts();
const app = new AppModel(IrisClient, { server: ports.origin, platform: browserPlatform("iris-web/0.1") }, ports);

effect(() => {
  document.documentElement.lang = language.value;
  document.documentElement.dir = direction.value;
});
effect(() => {
  document.documentElement.dataset.theme = app.preferences.theme.value;
});

const root = document.getElementById("app");
if (root !== null) render(<App app={app} />, root);
void app.start().then(() => performance.mark("iris-interactive"));
registerWorker(() => {
  app.updateReady.value = true;
});
