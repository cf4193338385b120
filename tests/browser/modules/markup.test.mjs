import assert from "node:assert/strict";
import { test } from "node:test";

/* The little of a DOM that the module needs. */
globalThis.document = {
  createTextNode: (data) => ({ data }),
  createElement: (name) => ({ name, children: [], append(...nodes) { this.children.push(...nodes); }, set textContent(data) { this.children = [{ data }]; } }),
};
const { marked } = await import("../../../static/js/markup.js");

const shown = (nodes) => nodes.map(({ data, name, href, children }) => (name ? `<${name}${href ? ` ${href}` : ""}>${shown(children)}</${name}>` : data)).join("");

for (const [text, expected] of [
  ["七天内可以**无理由退货**。", "七天内可以<strong>无理由退货</strong>。"],
  ["用 `AirPure 3` 的", "用 <code>AirPure 3</code> 的"],
  ["见[帮助](https://a.cn/x)", "见<a https://a.cn/x>帮助</a>"],
  ["看 https://a.cn 吧", "看 <a https://a.cn>https://a.cn</a> 吧"],
  ["# 标题\n- 一\n  * 二\n1. 三", "<strong>标题</strong>\n• 一\n  • 二\n1. 三"],
  ["[点](javascript:alert(1))", "[点](javascript:alert(1))"],
  ["[点](data:text/html,x)", "[点](data:text/html,x)"],
  ["<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
  ["2 * 3 * 4 和 ** 没完", "2 * 3 * 4 和 ** 没完"],
  ["", ""],
]) {
  test(`markup: ${text}`, () => assert.equal(shown(marked(text)), expected));
}
