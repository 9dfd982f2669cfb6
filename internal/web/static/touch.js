// Chapter Touch is not part of this build.
export function touch(section) { section.hidden = true; }
