/** Registers the service worker, through which the page opens without a network, and tells when a newer one waits. */

interface ScriptPolicy {
  createScriptURL(url: string): string;
}
interface TrustedTypes {
  createPolicy(name: string, rules: ScriptPolicy): ScriptPolicy;
}

const WORKER = "/sw.js";

export function registerWorker(onUpdate: () => void): void {
  if (!("serviceWorker" in navigator)) return;
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  // The page's policy lets a script's address pass only here, and only this one.
  const policy = types?.createPolicy("iris", {
    createScriptURL(url) {
      if (url !== WORKER) throw new TypeError("not a script of Iris");
      return url;
    },
  });
  const url = policy?.createScriptURL(WORKER) ?? WORKER;
  navigator.serviceWorker.register(url, { updateViaCache: "none" }).then(
    (registration) => {
      registration.addEventListener("updatefound", () => {
        const found = registration.installing;
        const replaces = navigator.serviceWorker.controller !== null;
        found?.addEventListener("statechange", () => {
          if (found.state === "activated" && replaces) onUpdate();
        });
      });
    },
    () => {}, // no worker (a certificate that is not trusted): all works but opening without a network
  );
}
