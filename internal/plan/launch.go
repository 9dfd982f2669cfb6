package plan

import (
	"fmt"
	"strings"
)

// Launch is how a program of the user's, train.py, is started on all GPUs of a plan. The
// lines have not been run.
type Launch struct {
	Torchrun   string `json:"torchrun"`
	Slurm      string `json:"slurm"`
	Kubernetes string `json:"kubernetes"`
}

// port is the usual one of torchrun's rendezvous.
const port = 29500

// Launch returns the lines that start a program on all GPUs.
func (p *Plan) Launch() Launch {
	each := min(Node, p.GPUs)
	l := Launch{Torchrun: fmt.Sprintf("torchrun --standalone --nproc-per-node %d train.py\n", each)}
	run := fmt.Sprintf("torchrun --standalone --nproc-per-node %d train.py", each)
	head := ""
	if p.Nodes > 1 {
		// The line names the node that serves the rendezvous, since torchrun cannot always find out.
		l.Torchrun = fmt.Sprintf("# on every node; HEAD is the first one, on all others is_host=0\ntorchrun --nnodes %d --nproc-per-node %d --rdzv-id train --rdzv-backend c10d \\\n  --rdzv-endpoint HEAD:%d --rdzv-conf is_host=1 train.py\n", p.Nodes, each, port)
		run = fmt.Sprintf("torchrun --nnodes $SLURM_NNODES --nproc-per-node %d \\\n  --rdzv-id $SLURM_JOB_ID --rdzv-backend c10d --rdzv-endpoint $HEAD:%d \\\n  --rdzv-conf is_host=$((SLURM_NODEID==0)) train.py", each, port)
		head = "export HEAD=$(scontrol show hostnames $SLURM_JOB_NODELIST | head -1)\n"
	}
	l.Slurm = fmt.Sprintf("#!/bin/bash\n#SBATCH --nodes=%d --ntasks-per-node=1 --gpus-per-node=%d\n%ssrun bash -c '%s'\n", p.Nodes, each, head, run)
	l.Kubernetes = strings.ReplaceAll(fmt.Sprintf(`apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {name: train}
spec:
	runtimeRef: {name: torch-distributed}
	trainer:
		image: IMAGE
		numNodes: %d
		numProcPerNode: %d
		command: [torchrun, train.py]
		resourcesPerNode: {limits: {nvidia.com/gpu: %d}}
`, p.Nodes, each, each), "\t", "  ")
	return l
}
