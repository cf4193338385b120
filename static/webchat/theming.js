/* The inbox's colours over ours, by CSS variables. Text on the brand's colour is black or white, whichever reads better. */

const HEX = /^#[0-9a-f]{6}$/i;

function channels(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** Relative luminance (WCAG 2.1), 0–1. */
export function luminance(hex) {
  const [r, g, b] = channels(hex).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** "#ffffff" or "#171a21": what keeps more contrast on `hex`. */
export function textOn(hex) {
  const light = 1.05 / (luminance(hex) + 0.05);
  const dark = (luminance(hex) + 0.05) / (luminance("#171a21") + 0.05);
  return light >= 4.5 || light >= dark ? "#ffffff" : "#171a21";
}

export function applyTheme({ primary, logo }, root = document.documentElement) {
  if (HEX.test(logo ?? "")) {
    root.style.setProperty("--logo", logo);
    root.style.setProperty("--on-logo", textOn(logo));
  }
  if (!HEX.test(primary ?? "")) return;
  const mix = (other, share) => `color-mix(in srgb, ${primary} ${share}%, ${other})`;
  const values = {
    "--primary": primary, "--ring": primary, "--primary-fill": primary, "--primary-fill-hover": mix("black", 88),
    "--primary-text": mix("var(--text)", 70), "--primary-soft": mix("var(--surface)", 12),
    "--primary-line": mix("var(--surface)", 40), "--on-primary": textOn(primary),
  };
  for (const [name, value] of Object.entries(values)) root.style.setProperty(name, value);
}
