/* The eye in a password field. */

const button = document.querySelector("#show-password");
const field = document.querySelector("#id_password");

button?.addEventListener("click", () => {
  const shown = field.type === "text";
  field.type = shown ? "password" : "text";
  button.setAttribute("aria-pressed", String(!shown));
  field.focus();
});
