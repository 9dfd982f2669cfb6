// Chapter Many GPUs: what was measured and modelled of work that several GPUs share. It is here once there is
// such a run.
export async function gpus(section) { section.hidden = true; }
