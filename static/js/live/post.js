// A POST with the page's CSRF token; null where the network failed.

const PATIENCE_MS = 10_000;

export async function post(url, body = new FormData()) {
  const token = document.querySelector("#drill-form [name=csrfmiddlewaretoken]").value;
  try {
    return await fetch(url, {
      method: "POST",
      body,
      headers: { "X-CSRFToken": token },
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch {
    return null;
  }
}
