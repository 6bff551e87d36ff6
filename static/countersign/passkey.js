// Passkeys (WebAuthn level 3). A form with data-passkey="create" or "get" has its hidden field `credential` filled in by
// its button [data-passkey-go], and is then sent. The options stand in data-options, or are asked for at data-challenge,
// so that a page which is only read asks for nothing.

const parse = {
  create: (options) => PublicKeyCredential.parseCreationOptionsFromJSON(options),
  get: (options) => PublicKeyCredential.parseRequestOptionsFromJSON(options),
};

function known() {
  return typeof PublicKeyCredential === "function" && "parseCreationOptionsFromJSON" in PublicKeyCredential;
}

async function optionsOf(form) {
  if (form.dataset.options) return JSON.parse(form.dataset.options);
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const answer = await fetch(form.dataset.challenge, { method: "POST", headers: { "X-CSRFToken": token } });
  if (!answer.ok) throw new Error("The server gave no challenge; reload the page.");
  return answer.json();
}

function say(form, words) {
  let place = form.querySelector("[data-passkey-said]");
  if (!place) {
    place = document.createElement("p");
    place.className = "small";
    place.setAttribute("role", "alert");
    place.setAttribute("data-passkey-said", "");
    form.append(place);
  }
  place.textContent = words;
}

async function go(form) {
  const kind = form.dataset.passkey;
  try {
    const { publicKey } = await optionsOf(form);
    const credential = await navigator.credentials[kind]({ publicKey: parse[kind](publicKey) });
    form.querySelector("[name=credential]").value = JSON.stringify(credential.toJSON());
    form.submit();
  } catch (error) {
    say(form, error.name === "NotAllowedError" ? "No passkey was used. Try again when you are ready." : error.message);
  }
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("[data-passkey-go]");
  if (!known()) {
    button.hidden = true;
    if (form.dataset.passkey === "create") say(form, "This browser or this address knows no passkeys (https, or localhost).");
    continue;
  }
  button.hidden = false;
  button.addEventListener("click", (event) => {
    event.preventDefault();
    // what the person must fill in themselves, the browser checks as it does for any form
    const asked = form.dataset.passkey === "get" ? form.querySelectorAll("[type=password]") : form.elements;
    if ([...asked].every((field) => field.reportValidity())) go(form);
  });
}
