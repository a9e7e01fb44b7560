"""What the project stands on, and no student needs to read: files, the network, threads, the GPU.

files     writing files so that nobody finds half of one
mirrors   fetching a data set from where it can be had
threads   as many CPU threads as make the networks fastest
gpu       a training step recorded once and replayed on a GPU
"""
