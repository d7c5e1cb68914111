// Directions get names of one's own, in place: they stay in a file of the run.
import { post } from "./api.js";
import { $, drawDirections, guarded, make, on, showValues, state } from "./controls.js";

function rename({ name, button, given }) {
  const field = make("input", { type: "text", value: given, maxLength: 40, placeholder: button.textContent, className: "naming" });
  field.setAttribute("aria-label", `Name of ${button.textContent}`);
  let done = false;
  const end = (keeps) => guarded(async () => {
    if (done) return;
    done = true;
    if (keeps && field.value.trim() !== given) {
      const model = state.model, { directions } = await post(`/api/models/${model}/directions`, { direction: name, name: field.value });
      if (model !== state.model) return;
      state.facts.directions = directions;
    }
    const stays = document.activeElement === field || document.activeElement === document.body;
    drawDirections();
    showValues();
    if (stays) $("sliders").querySelector(`[name="${name}"]`).previousElementSibling.firstElementChild.focus();
  })().finally(() => { if (field.isConnected) field.replaceWith(button); });
  field.onkeydown = (event) => {
    if (!["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    end(event.key === "Enter");
  };
  field.onblur = () => end(true);
  button.replaceWith(field);
  field.focus();
  field.select();
}

export const startNaming = () => on("rename", rename);
