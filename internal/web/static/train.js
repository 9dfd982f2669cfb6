// Chapter Train is not part of this build.
export function train(section) { section.hidden = true; }
