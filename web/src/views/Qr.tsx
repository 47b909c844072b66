/** A QR code, drawn as one path. What makes it is loaded when the first one is shown. */

import { useEffect, useState } from "preact/hooks";

const QUIET = 4; // light squares around it, as ISO/IEC 18004 wants

export function Qr({ text, label }: { text: string; label: string }) {
  const [squares, setSquares] = useState<readonly (readonly boolean[])[]>([]);
  useEffect(() => {
    let wanted = true;
    // Without it the code can still be typed.
    void import("qr").then(
      ({ encodeQR }) => wanted && setSquares(encodeQR(text, "raw", { ecc: "low", border: QUIET })),
      () => {},
    );
    return () => {
      wanted = false;
    };
  }, [text]);
  const path = squares.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")));
  return (
    <svg
      class="qr"
      viewBox={`0 0 ${squares.length} ${squares.length}`}
      role="img"
      aria-label={label}
      shape-rendering="crispEdges"
    >
      <path d={path.join("")} />
    </svg>
  );
}
