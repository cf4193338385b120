/* Words and times of the page's language. The words come with the page, from the same catalogue as the templates. */

const words = JSON.parse(document.getElementById("i18n").textContent);
const lang = document.documentElement.lang;

/** The text of `key` with {name} replaced. */
export function t(key, values = {}) {
  return words[key].replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

const format = (options) => new Intl.DateTimeFormat(lang, { hourCycle: "h23", ...options });
const clock = format({ hour: "2-digit", minute: "2-digit" });
const monthDay = format(lang.startsWith("zh") ? { month: "long", day: "numeric" } : { month: "short", day: "numeric" });
const full = format({ year: "numeric", month: "2-digit", day: "2-digit" });

export const clockTime = (date) => clock.format(date);

function daysAgo(date, now) {
  const midnight = (moment) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate());
  return Math.round((midnight(now) - midnight(date)) / 86_400_000);
}

/** 今天 10:32, 昨天 14:05, 明天 09:00, 6月2日 14:05, 2025/06/02 14:05. */
export function dayTime(date, now = new Date()) {
  const time = clock.format(date);
  const days = daysAgo(date, now);
  if (days === 0) return t("today", { time });
  if (days === -1) return t("tomorrow", { time });
  if (days === 1) return t("yesterday", { time });
  const day = date.getFullYear() === now.getFullYear() ? monthDay : full;
  return `${day.format(date)} ${time}`;
}

/** Bytes in the largest fitting unit: 640 KB, 1.2 MB. */
export function fileSize(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
