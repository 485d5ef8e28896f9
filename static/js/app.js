// The one script of the portal: what HTML, CSS and htmx leave open. Every page works without it.
"use strict";

(() => {
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const on = (type, handler, capture = false) => document.addEventListener(type, handler, capture);
  /** Handle events of elements that match, also of those that come later. */
  const at = (type, selector, handler) =>
    on(type, (event) => {
      const element = event.target.closest?.(selector);
      if (element) handler(element, event);
    });

  // ---- Toasts: 6 s, longer under the pointer; errors stay -------------------------------------------------------

  const TOAST_MS = 6000;
  const GLYPHS = { ok: "ok", warn: "warn", err: "error", info: "info", off: "off" };

  const expire = (toast) =>
    setTimeout(() => (toast.matches(":hover, :focus-within") ? expire(toast) : toast.remove()), TOAST_MS);

  /** Put the region where it can be seen and used: into the modal dialog on top, else into the page. */
  function placeToasts() {
    const region = find("#toasts");
    const host = all("dialog:modal").at(-1) ?? document.body;
    if (region.parentElement !== host) host.append(region);
    return region;
  }

  function showToast({ tone = "ok", title, body, undo }) {
    const toast = find("#toast-template").content.firstElementChild.cloneNode(true);
    const use = find("use", toast);
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#i-${GLYPHS[tone] ?? "info"}`));
    toast.dataset.tone = tone;
    if (tone === "err") toast.setAttribute("role", "alert");
    find("b", toast).textContent = title;
    if (body) find("p", toast).textContent = body;
    else find("p", toast).remove();
    if (undo) find("[data-dismiss]", toast).before(undoForm(undo));
    placeToasts().append(toast);
    if (tone !== "err") expire(toast);
  }

  function undoForm({ url, label = "Undo", fields = {} }) {
    const form = Object.assign(document.createElement("form"), { method: "post", action: url });
    form.setAttribute("hx-post", url);
    form.setAttribute("hx-swap", "none");
    const csrf_token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
    for (const [name, value] of Object.entries({ csrf_token, ...fields })) {
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    }
    form.append(Object.assign(document.createElement("button"), { className: "btn btn--sm", textContent: label }));
    window.htmx?.process(form);
    return form;
  }

  on("toast", (event) => showToast(event.detail));
  at("click", "[data-dismiss]", (button) => button.closest(".toast").remove());

  // ---- Drawer: a modal dialog with an address --------------------------------------------------------------------

  /** home: the address of the list; pushed: the drawer has a history entry above it; key: finds a refreshed opener again. */
  const drawer = { opener: null, key: "", home: "", opening: false, pushed: false, dirty: false, returning: false };
  const here = () => location.pathname + location.search;
  const currentDrawer = () => find("#drawer-host > dialog");

  function rememberOpener(element) {
    const id = element.id && `#${CSS.escape(element.id)}`;
    const path = element.getAttribute("href") ?? element.form?.getAttribute("action");
    const key = id || (path && (element.form ? `form[action=${JSON.stringify(path)}] button` : `[href=${JSON.stringify(path)}]`));
    Object.assign(drawer, { opener: element, key, home: here(), opening: true, pushed: false, dirty: false });
  }

  function showDrawer(again = false) {
    const dialog = currentDrawer();
    if (!dialog || dialog.matches(":modal")) return;
    drawer.opening = false;
    dialog.removeAttribute("open");
    dialog.toggleAttribute("data-still", again);
    dialog.showModal();
    focusFirst(dialog, true);
    placeToasts();
  }

  function removeDrawer() {
    document.body.append(find("#toasts"));
    find("#drawer-host").replaceChildren();
    Object.assign(drawer, { dirty: false, pushed: false });
    returnFocus();
  }

  function returnFocus() {
    const known = drawer.opener?.isConnected ? drawer.opener : drawer.key && find(drawer.key);
    const menu = known && !known.checkVisibility() && known.closest("details.menu");
    (menu ? find("summary", menu) : known || find("#main"))?.focus();
  }

  /** Take the drawer away and give the list its address back; ask first when something was typed. */
  function closeDrawer(ask = true) {
    if (!currentDrawer()) return;
    if (ask && drawer.dirty) return void find("#leave-dialog").showModal();
    const url = find("a[data-close]", currentDrawer())?.href;
    const { pushed, opener } = drawer;
    const alone = !pushed && !opener?.isConnected; // opened by its address: what it belongs to is not below it
    removeDrawer();
    if (pushed) {
      drawer.returning = true;
      history.back();
    } else if (alone && url) location.assign(url);
  }

  // Before htmx sees it: going back from an open drawer closes it, and loads nothing.
  window.addEventListener("popstate", (event) => {
    const leaving = currentDrawer() && drawer.pushed && here() === drawer.home;
    if (!leaving && !drawer.returning) return;
    event.stopImmediatePropagation();
    if (drawer.returning) drawer.returning = false;
    else if (drawer.dirty) {
      history.pushState({ htmx: true }, "", drawer.url);
      find("#leave-dialog").showModal();
    } else removeDrawer();
  }, true);

  on("drawer-close", () => setTimeout(() => closeDrawer(false))); // events after it in the same answer still find the form
  on("cancel", (event) => {
    if (event.target !== currentDrawer()) return;
    event.preventDefault();
    closeDrawer();
  }, true);
  on("close", ({ target }) => {
    if (target === currentDrawer()) {
      showDrawer(true); // the browser closed it without asking
      closeDrawer();
    } else placeToasts();
  }, true);
  at("input", "#drawer-host form", () => (drawer.dirty = true));
  at("click", "[data-leave]", (button) => {
    button.closest("dialog").close();
    if (button.dataset.leave === "go") closeDrawer(false);
  });

  // ---- Dialogs and menus -----------------------------------------------------------------------------------------

  at("click", "[data-close]", (element, event) => {
    event.preventDefault();
    const dialog = element.closest("dialog");
    if (dialog === currentDrawer()) closeDrawer();
    else dialog.close();
  });
  at("click", "[popovertarget]", (button, event) => {
    const dialog = document.getElementById(button.getAttribute("popovertarget"));
    if (!(dialog instanceof HTMLDialogElement)) return;
    event.preventDefault();
    if (button.hasAttribute("popovertargetaction")) return;
    dialog.showModal();
    placeToasts();
  });
  at("input", "[data-typed]", (input) => armDestroy(input));

  function armDestroy(input) {
    find("[data-destroy]", input.form).disabled = input.value.trim() !== input.dataset.typed;
  }

  const closeMenus = (keep) => all("details.menu[open]").filter((menu) => !keep?.(menu)).map((menu) => (menu.open = false));
  on("click", ({ target }) => {
    const chosen = target.closest("details.menu[open] button");
    closeMenus((menu) => menu.contains(target) && !target.closest("a, button"));
    if (chosen) find("summary", chosen.closest("details")).focus(); // the button itself is hidden from now on
  });
  on("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = event.target.closest("details.menu[open]");
    const top = all("dialog:modal").at(-1);
    if (menu) find("summary", menu).focus();
    if (closeMenus().length) event.preventDefault();
    else if (top && top === currentDrawer()) {
      event.preventDefault();
      closeDrawer();
    }
  }, true);

  // ---- Forms: checks on leaving a field, presets, results that no longer fit, filters ------------------------------

  const changed = new WeakSet();
  const CONTROLS = "input:not([type=hidden], :disabled), select:not(:disabled), textarea:not(:disabled)";

  function between({ min, max }) {
    if (min && max) return `Use a number from ${min} to ${max}.`;
    return min ? `Use ${min} or more.` : `Use ${max} or less.`;
  }

  function missing({ dataset, type, tagName }) {
    if (dataset.missing) return dataset.missing;
    if (type === "checkbox") return "Tick this to go on.";
    return type === "radio" || tagName === "SELECT" ? "Choose one." : "Fill in this field.";
  }

  /** Say what is wrong with the value of a control, or "". */
  function complaint(control) {
    const { validity, dataset, type } = control;
    if (validity.valid) return "";
    if (validity.valueMissing) return missing(control);
    if (validity.typeMismatch && type === "email") return "Write the whole address, for example name@company.example.";
    if (validity.typeMismatch) return "Write the whole address, for example https://company.example.";
    if (validity.patternMismatch) return dataset.pattern || control.title || "This value does not have the expected form.";
    if (validity.rangeUnderflow || validity.rangeOverflow) return between(control);
    if (validity.tooShort) return `Use at least ${control.minLength} characters.`;
    if (validity.tooLong) return `Use at most ${control.maxLength} characters.`;
    return type === "number" ? "Use a whole number." : control.validationMessage;
  }

  /** Show the message below the control, or take an old one away. */
  function mark(control, message) {
    const holder = control.type === "radio" ? control.closest("fieldset") : control;
    const field = holder?.closest(".field");
    if (!field) return;
    const id = `${holder.id}-error`;
    document.getElementById(id)?.remove();
    const described = (holder.getAttribute("aria-describedby") ?? "").split(" ").filter((name) => name && name !== id);
    if (message) {
      const note = find("#error-template").content.firstElementChild.cloneNode(true);
      note.id = id;
      find("span", note).textContent = message;
      field.append(note);
      holder.setAttribute("aria-invalid", "true");
      described.push(id);
    } else holder.removeAttribute("aria-invalid");
    if (described.length) holder.setAttribute("aria-describedby", described.join(" "));
    else holder.removeAttribute("aria-describedby");
  }

  function check(form) {
    const controls = [...form.elements].filter((control) => control.willValidate && control.checkVisibility());
    const wrong = controls.filter((control) => !control.validity.valid);
    wrong.forEach((control) => mark(control, complaint(control)));
    wrong[0]?.focus();
    return wrong.length === 0;
  }

  /** Go to the result of a test, else to the first message, else (in a drawer) to the field it was opened for, or the first. */
  function focusFirst(root, field = false) {
    const invalid = find("[aria-invalid=true]", root);
    const spot = find("[data-result]", root) ?? (invalid?.matches("fieldset") ? find("input", invalid) : invalid);
    const start = () => find("[autofocus]", root) ?? all(CONTROLS, root).find((control) => control.checkVisibility());
    (spot ?? (field ? start() : null))?.focus();
  }

  /** A tested result belongs to the values tested: once one changes, the result fades. */
  function fadeResults(form) {
    for (const result of form.id ? all(`[data-result-for="${CSS.escape(form.id)}"]:not(.stale)`) : []) {
      const note = Object.assign(document.createElement("p"), { className: "hint", textContent: "Values changed since this test." });
      result.classList.add("stale");
      find(".panel-body", result).append(note);
    }
    for (const button of [...form.elements].filter((control) => control.dataset.staleLabel)) {
      const words = [...button.childNodes].find((node) => node.nodeType === Node.TEXT_NODE);
      words.data = button.dataset.staleLabel;
    }
  }

  on("input", ({ target }) => {
    changed.add(target);
    if (target.form) fadeResults(target.form);
  });
  // A message that came or went between press and release would move a button away from under the pointer.
  const press = { down: false, waiting: [] };
  on("pointerdown", () => (press.down = true), true);
  ["pointerup", "pointercancel"].forEach((type) =>
    on(type, () => setTimeout(() => {
      press.down = false;
      press.waiting.splice(0).forEach((look) => look());
    }), true));
  on("focusout", ({ target }) => {
    const look = () => {
      if (target.isConnected && changed.has(target) && target.willValidate) mark(target, complaint(target));
    };
    if (press.down) press.waiting.push(look);
    else look();
  });
  on("submit", (event) => {
    const form = event.target;
    const unchecked = event.submitter?.formNoValidate || form.method === "dialog";
    if ("sent" in form.dataset || !(unchecked || check(form))) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }, true);
  at("change", "[data-preset]", (holder, { target }) => {
    const presets = JSON.parse(holder.dataset.preset);
    const values = { ...(presets[target.value] && leftBy(presets, target.form)), ...presets[target.value] };
    for (const [name, value] of Object.entries(values)) {
      const control = target.form.elements[name];
      if (!control) continue;
      control.value = value;
      if (control instanceof Element) mark(control, "");
      // What was filled in may fill in more: a service its security, and that its port.
      const first = control instanceof RadioNodeList ? [...control].find((each) => each.checked) : control;
      if (first?.closest("[data-preset]") && first.closest("[data-preset]") !== holder) {
        first.dispatchEvent(new Event("change", { bubbles: true }));
      }
    }
  });

  /** A group of checkboxes: how many are ticked, and a button for all of them. */
  const boxes = (group) => all("input[name=events]", group);
  function tally(group) {
    const ticked = boxes(group).filter((box) => box.checked).length;
    find("[data-ticked]", group).textContent = `${ticked} of ${boxes(group).length}`;
    const outer = group.parentElement.closest("[data-group]");
    if (outer) tally(outer);
  }
  at("change", "[data-group]", tally);
  at("click", "[data-all]", (button) => {
    const group = button.closest("[data-group]");
    const tick = boxes(group).some((box) => !box.checked);
    boxes(group).forEach((box) => (box.checked = tick));
    boxes(group)[0].dispatchEvent(new Event("input", { bubbles: true }));
    tally(group);
  });

  /** What another option filled in and nobody changed since: it goes with that option. */
  function leftBy(presets, form) {
    const left = Object.values(presets).flatMap(Object.entries).filter(([name, value]) => form.elements[name]?.value === value);
    return Object.fromEntries(left.filter(([name]) => form.elements[name] instanceof HTMLInputElement).map(([name]) => [name, ""]));
  }

  /** Word the fields as the chosen option wants them: note beside the label, hint, placeholder. */
  at("change", "[data-wordings]", ({ dataset }, { target }) => {
    for (const [name, { note, help, placeholder }] of Object.entries(JSON.parse(dataset.wordings)[target.value] ?? {})) {
      const control = document.getElementById(`f-${name}`);
      const field = control?.closest(".field");
      if (!field) continue;
      control.placeholder = placeholder;
      const label = find("label", field);
      const opt = find(".opt", label) ?? Object.assign(document.createElement("span"), { className: "opt" });
      opt.textContent = note && `(${note})`;
      if (!opt.isConnected) label.append(" ", opt);
      const hint = document.getElementById(`f-${name}-hint`) ?? Object.assign(document.createElement("p"), { className: "hint", id: `f-${name}-hint` });
      hint.textContent = help;
      if (!hint.isConnected) field.append(hint);
      if (!control.getAttribute("aria-describedby")?.includes(hint.id)) {
        control.setAttribute("aria-describedby", `${hint.id} ${control.getAttribute("aria-describedby") ?? ""}`.trim());
      }
    }
  });

  /** Hide what is asked only while another field has certain values. */
  function showAsAsked(form) {
    for (const holder of form?.querySelectorAll("[data-shown-if]") ?? []) {
      const { field, values } = JSON.parse(holder.dataset.shownIf);
      holder.hidden = !values.includes(form.elements[field]?.value);
    }
  }
  at("change", "form", (form) => showAsAsked(form));

  // Reloading or closing the tab asks like every other way out of a drawer in which something was typed.
  window.addEventListener("beforeunload", (event) => {
    if (currentDrawer() && drawer.dirty) event.preventDefault();
  });

  let typing = 0;
  at("input", "form[data-autosubmit][hx-get]", (form, { target }) => {
    if (!target.matches("[type=search], [type=text]")) return;
    clearTimeout(typing);
    typing = setTimeout(() => form.requestSubmit(), 400);
  });
  at("change", "form[data-autosubmit]", (form, { target }) => {
    if (!target.matches("[type=search], [type=text]")) form.requestSubmit();
  });
  on("formdata", ({ target, formData }) => {
    if (target.matches("[data-autosubmit]")) [...formData].forEach(([name, value]) => value || formData.delete(name));
  });

  // ---- Busy: nothing is sent twice, and buttons keep their width ---------------------------------------------------

  const requests = new WeakMap();

  function setBusy(button, busy) {
    if (!button?.matches(".btn")) return;
    if (busy) button.setAttribute("aria-busy", "true");
    else button.removeAttribute("aria-busy");
    button.toggleAttribute("data-cover", busy && !find(".icon", button));
  }

  on("click", (event) => {
    if (!event.target.closest?.(".btn:is([aria-busy=true], [aria-disabled=true])")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  on("submit", ({ target: form, submitter, defaultPrevented }) => {
    if (defaultPrevented || form.method !== "post") return;
    form.dataset.sent = "";
    setBusy(submitter, true);
  });
  window.addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    all("form[data-sent]").forEach((form) => delete form.dataset.sent);
    all(".btn[aria-busy=true]").forEach((button) => setBusy(button, false));
  });

  // ---- Copy, show ---------------------------------------------------------------------------------------------------

  /** Copy without the clipboard API, which browsers give to https only. */
  function copyByHand(text, beside) {
    const area = Object.assign(document.createElement("textarea"), { value: text, className: "vh" });
    beside.after(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    beside.focus();
    return done;
  }

  at("click", "[data-copy], [data-copy-text]", async (button) => {
    const source = button.dataset.copy && find(button.dataset.copy);
    const text = button.dataset.copyText ?? source.value ?? source.textContent;
    const clipboard = navigator.clipboard?.writeText(text).then(() => true, () => copyByHand(text, button));
    const done = await (clipboard ?? copyByHand(text, button));
    const words = find("span", button);
    button.dataset.label ??= words.textContent;
    words.textContent = done ? "Copied" : "Not copied";
    setTimeout(() => (words.textContent = button.dataset.label), 2000);
  });
  at("click", "[data-reveal]", (button) => {
    const input = find(button.dataset.reveal);
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    find("span", button).textContent = shown ? "Hide" : "Show";
  });

  // ---- htmx: drawers, busy buttons, errors in words, regions that stopped updating ----------------------------------

  const answered = new Map();
  const started = new Date();
  const shownInPlace = new WeakSet();

  function stopped(region) {
    const id = region.id;
    if (find(`[data-note-for="${CSS.escape(id)}"]`)) return;
    const since = (answered.get(id) ?? started).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    const note = Object.assign(document.createElement("div"), { className: "banner" });
    const words = Object.assign(document.createElement("span"), { textContent: `Not updating since ${since}` });
    const button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn--sm", textContent: "Refresh" });
    Object.assign(note.dataset, { tone: "warn", noteFor: id });
    button.addEventListener("click", () => window.htmx.trigger(`#${CSS.escape(id)}`, "refresh"));
    note.append(words, button);
    (region.closest(".table-wrap") ?? document.getElementById(id) ?? region).prepend(note);
  }

  function updating(region) {
    answered.set(region.id, new Date());
    find(`[data-note-for="${CSS.escape(region.id)}"]`)?.remove();
  }

  /** Read the words of an error page or fragment. */
  function problem(xhr) {
    const error = new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector("[data-error]");
    const words = (selector) => error?.querySelector(selector)?.textContent.replace(/\s+/g, " ").trim();
    return {
      tone: "err",
      title: words("h1, h2") ?? (xhr.status ? "That did not work" : "The portal did not answer"),
      body: words("p") ?? (xhr.status ? `Answer ${xhr.status}. Try again in a moment.` : "Check the connection, then try again."),
      fragment: error,
    };
  }

  const toasted = (xhr) => xhr.getResponseHeader("HX-Trigger")?.includes('"toast"');

  function failed({ detail: { elt, xhr } }) {
    drawer.opening = false;
    if (elt.matches("[data-switch]")) all("[role=switch]", elt).forEach((input) => (input.checked = !input.checked));
    if (elt.matches("[data-live]")) stopped(elt);
    else if (!shownInPlace.has(xhr) && !toasted(xhr)) showToast(problem(xhr));
  }

  const QUIET = 60_000; // milliseconds without a move, after which a calm region asks this rarely
  let moved = Date.now();
  ["pointermove", "pointerdown", "keydown", "scroll"].forEach((type) => on(type, () => (moved = Date.now()), { capture: true, passive: true }));

  function isQuiet(region) {
    const now = Date.now();
    return region.dataset.live === "calm" && now - moved > QUIET && now - (answered.get(region.id) ?? started) < QUIET;
  }

  /** A region waits while nobody looks; with a poll also while an answer is on its way, and while somebody types in it. */
  function mayRefresh(region, asked) {
    if (document.hidden || asked) return !document.hidden;
    if (isQuiet(region)) return false;
    const typed = all("input:not([role=switch]), select, textarea", region).some((control) => changed.has(control));
    const opened = find("dialog:modal, details.menu[open]", region);
    return !(typed || opened || find("form[data-sent]") || find("[aria-invalid=true]", region));
  }

  on("htmx:beforeRequest", (event) => {
    const { elt, xhr, target, requestConfig } = event.detail;
    if (elt.matches("[data-live]") && !mayRefresh(elt, requestConfig.triggeringEvent)) return event.preventDefault();
    const button = requestConfig.triggeringEvent?.submitter ?? elt;
    if (target?.id === "drawer-host" && !currentDrawer()) rememberOpener(button);
    requests.set(xhr, button);
    setBusy(button, true);
    if (elt.matches("form") && requestConfig.verb !== "get") elt.dataset.sent = "";
  });
  on("htmx:afterRequest", ({ detail: { elt, xhr, successful } }) => {
    setBusy(requests.get(xhr), false);
    delete elt.dataset.sent;
    if (!successful) return;
    if (elt.matches("[data-live]")) updating(elt);
    elt.closest(".toast")?.remove();
    if (xhr.status !== 422) elt.closest("dialog.dialog")?.close();
  });
  // A part that is replaced keeps what a person opened in it, and the place of the focus.
  const places = (root) => all("a[href], button, input, select, textarea, summary", root).filter((each) => each.checkVisibility());
  const kept = { open: [], holder: "", index: -1, looks: "" };

  /** What tells a control from the others around it, also after it was drawn anew. */
  function looks(control) {
    const address = control.getAttribute("href") ?? control.form?.getAttribute("action");
    return [control.tagName, control.name, address, control.getAttribute("aria-label") ?? control.textContent.trim()].join();
  }

  function remember(target) {
    const active = document.activeElement;
    kept.open = all("details[open][id]", target).map((details) => details.id);
    if (active === document.body || !target.contains(active)) return;
    const menu = active.closest("details.menu"); // is closed afterwards
    const spot = menu ? find("summary", menu) : active;
    const holder = spot.closest("[id]:not(:focus)");
    Object.assign(kept, { holder: holder.id, index: places(holder).indexOf(spot), looks: looks(spot) });
  }

  /** A control that stayed in place while the form around it was replaced: tie it to what is said about it now. */
  function markPreserved(control) {
    const said = ["hint", "error"].map((part) => document.getElementById(`${control.id}-${part}`)).filter(Boolean);
    control.setAttribute("aria-describedby", said.map((each) => each.id).join(" "));
    if (!said.length) control.removeAttribute("aria-describedby");
    if (said.some((each) => each.matches(".error"))) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }

  function putBack() {
    kept.open.splice(0).forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    const holder = document.getElementById(kept.holder);
    if (kept.holder && document.activeElement === document.body) {
      const found = holder ? places(holder) : [];
      const same = [found[kept.index], ...found].find((place) => place && looks(place) === kept.looks);
      (same ?? found[kept.index] ?? found[0] ?? heading(holder))?.focus({ preventScroll: true });
    }
    kept.holder = "";
  }

  /** Where nothing is left to press: what stands there now, such as that nothing is open any more. */
  function heading(holder) {
    const words = (holder && find("h1, h2, h3", holder)) ?? find("main h1");
    words?.setAttribute("tabindex", "-1");
    return words;
  }

  on("htmx:beforeSwap", ({ detail }) => {
    const { elt, xhr, target, requestConfig } = detail;
    // What was asked for before a form was sent must not take that form away: its answer would find nobody to tell.
    if (elt.matches("[data-live]") && find("form[data-sent]", target)) return (detail.shouldSwap = false);
    if (target.id !== "drawer-host") remember(target);
    const region = find("#toasts");
    if (target.contains(region)) document.body.append(region);
    if (target.id === "drawer-host") {
      drawer.again = currentDrawer()?.matches(":modal");
      detail.swapOverride = "innerHTML"; // not what a list around the link does with itself
    }
    const reads = requestConfig.verb === "get" && target.id !== "drawer-host" && !requestConfig.elt.matches("[data-live]");
    if (xhr.status < 400 || xhr.status === 422 || !reads || toasted(xhr)) return;
    const { fragment } = problem(xhr);
    if (!fragment) return;
    shownInPlace.add(xhr);
    Object.assign(detail, { shouldSwap: true, serverResponse: fragment.outerHTML, swapOverride: "innerHTML", selectOverride: "unset" });
  });
  on("htmx:oobBeforeSwap", ({ detail: { target } }) => remember(target));
  on("htmx:afterSwap", ({ detail: { target, xhr } }) => {
    if (target?.id === "drawer-host") {
      if (!find("#drawer-host form")) drawer.dirty = false; // what was typed is stored; the drawer only tells something
      all("#drawer-host [hx-preserve]").forEach(markPreserved); // the focus looks for what is wrong
      showDrawer(drawer.again);
    }
    else if (target?.id === "dialog-host") find("dialog", target)?.showModal();
    else if (xhr?.status === 422) focusFirst(document);
  });
  on("htmx:afterSettle", () => {
    putBack();
    all("[hx-preserve]").forEach(markPreserved);
    if (drawer.key && document.activeElement === document.body && !currentDrawer()) returnFocus();
  });
  on("htmx:pushedIntoHistory", ({ detail: { path } }) => {
    if (drawer.opening) Object.assign(drawer, { pushed: path !== drawer.home, url: path });
  });
  on("htmx:responseError", failed);
  on("htmx:sendError", failed);
  on("htmx:timeout", failed);
  on("htmx:historyRestore", () => showDrawer());
  on("visibilitychange", () => {
    if (!document.hidden) all("[data-live]").forEach((region) => window.htmx?.trigger(region, "refresh"));
  });
  ["keydown", "pointerdown"].forEach((type) => on(type, () => currentDrawer() || (drawer.key = ""), true));

  // ---- Start ------------------------------------------------------------------------------------------------------

  /** Prepare what just came into the page: its messages are ours, not the browser's bubbles. */
  function prepare(root) {
    [root, ...all("form", root)].filter((node) => node instanceof HTMLFormElement).forEach((form) => (form.noValidate = true));
    all("[data-typed]", root).forEach(armDestroy);
    all("form", root).forEach(showAsAsked);
  }

  on("htmx:load", ({ detail }) => prepare(detail.elt));
  on("htmx:beforeOnLoad", ({ detail: { xhr } }) => {
    if (xhr.getResponseHeader("HX-Redirect")) drawer.dirty = false;
  });
  prepare(document.body);
  all("#toasts > .toast:not([data-tone=err])").forEach(expire);
  showDrawer();
  if (!currentDrawer() && !find("[data-guide]")) focusFirst(find("main") ?? document.body);
})();
